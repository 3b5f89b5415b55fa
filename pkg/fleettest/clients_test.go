package fleettest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestBoto3AndTheExtendedClientGetAlong(t *testing.T) {
	t.Parallel()
	f := launchFleet(t)
	out := output(t, f.env(), tool(t, "python"), filepath.Join("testdata", "story.py"))
	type result struct {
		Status, Attribute string
		Output            any
	}
	var saw struct {
		Sent, Left   int
		Own          [][]string
		Small, Large result
		Functions    []string
		Invoked      []string
	}
	if err := json.Unmarshal([]byte(out), &saw); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if saw.Sent != 3 || !reflect.DeepEqual(saw.Own, [][]string{{"message 0", "0"}, {"message 1", "1"}, {"message 2", "2"}}) {
		t.Errorf("of its own queue it saw %s", out)
	}
	if want := (result{"succeeded", "succeeded", 42.0}); saw.Small != want {
		t.Errorf("the small run: %+v", saw.Small)
	}
	if want := (result{"succeeded", "succeeded", 5_800_001.0}); saw.Large != want {
		t.Errorf("the large run: %+v", saw.Large)
	}
	if saw.Left != 0 {
		t.Errorf("%d results are left after their deletion", saw.Left)
	}
	if len(saw.Functions) != 2 || !reflect.DeepEqual(saw.Invoked, []string{"2", "aby"}) {
		t.Errorf("of the functions it saw %s", out)
	}
}

func TestTheAWSCLIGetsAlong(t *testing.T) {
	t.Parallel()
	f := launchFleet(t)
	aws := func(args ...string) string {
		t.Helper()
		return output(t, f.env("AWS_PAGER="), tool(t, "aws"), args...)
	}
	own := aws("sqs", "create-queue", "--queue-name", "cli-own", "--query", "QueueUrl", "--output", "text")
	aws("sqs", "send-message", "--queue-url", own, "--message-body", "to myself")
	if got := aws("sqs", "receive-message", "--queue-url", own, "--wait-time-seconds", "20", "--query", "Messages[0].Body"); got != `"to myself"` {
		t.Errorf("its own queue gave %s", got)
	}
	urls := strings.TrimSuffix(own, "cli-own")
	aws("sqs", "send-message", "--queue-url", urls+"scriptfleet-requests", "--message-body",
		request("by-cli", Data{Script: "def main(input):\n    return {'sum': sum(input['n'])}", Input: map[string][]int{"n": {1, 2, 3}}}))
	var res run.Result
	got := aws("sqs", "receive-message", "--queue-url", urls+"scriptfleet-results", "--wait-time-seconds", "20",
		"--message-attribute-names", "All", "--query", "Messages[0].Body", "--output", "text")
	if err := json.Unmarshal([]byte(got), &res); err != nil || res.Data.Status != run.Succeeded || string(res.Data.Output) != `{"sum": 6}` {
		t.Errorf("the result is %s (%v)", got, err)
	}
	name := aws("lambda", "list-functions", "--query", "Functions[].FunctionName", "--output", "text")
	answer := filepath.Join(t.TempDir(), "answer.json")
	status := aws("lambda", "invoke", "--function-name", name, "--payload", `{"input":{"n":[4,5]}}`, "--query", "StatusCode", answer)
	body, _ := os.ReadFile(answer)
	if status != "200" || !strings.Contains(string(body), `{"sum": 9}`) {
		t.Errorf("lambda invoke answers %s: %s", status, body)
	}
}

// output is a client's output, without the final line break.
func output(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = env, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(program), args[:min(2, len(args))], err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}
