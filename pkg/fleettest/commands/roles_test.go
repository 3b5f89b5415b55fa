package commands

import (
	"slices"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/permissions"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// TestOperatorsMayDoWhatTheirCommandsCallAndNoMore compares the operators' role
// in the template with the calls that the commands make.
func TestOperatorsMayDoWhatTheirCommandsCallAndNoMore(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--poll-wait", "1s")
	tap := permissions.Record(t, value(l.env, "AWS_ENDPOINT_URL"))
	env := append(slices.Clone(l.env), "AWS_ENDPOINT_URL="+tap.URL)
	script := files.Write(t, "script.py", "def main(input):\n    return 1")
	l.send(t, "junk", "more junk")
	var letters []struct{ ID string }
	wait.Until(t, within, "the letters do not come", func() bool {
		letters = lines[struct{ ID string }](t, scriptfleet(t, l.env, "dlq", "list", "--requests", "--json", "--look", "1s"))
		return len(letters) == 2
	})
	for _, args := range [][]string{
		{"functions", "build", script, "--tenant", "acme"}, {"functions", "list"}, {"functions", "remove", "--older-than", "0s"},
		{"dlq", "list", "--look", "1s"}, {"dlq", "redrive", letters[0].ID, "--requests", "--look", "3s"}, {"dlq", "delete", "--all", "--requests", "--look", "3s"},
		{"check"}, {"status"},
	} {
		scriptfleet(t, env, args...).says(t, 0)
	}

	template := permissions.ReadTemplate(t, "../../../deploy/cloudformation.yaml")
	operators, stories := template.Allows(t, "OperatorPolicy"), template.Allows(t, "StoriesPolicy")
	permissions.Enough(t, tap.Calls(), append(operators, stories...))
	permissions.NoMore(t, operators, tap.Calls(), map[string]string{
		"s3:ListBucket": "dead letters above 1 MiB", "s3:GetObject": "dead letters above 1 MiB", "s3:PutObject": "their redrive",
	})
}
