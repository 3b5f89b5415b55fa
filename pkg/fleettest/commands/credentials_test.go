package commands

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
)

const (
	theirRole = "arn:aws:iam::111122223333:role/scripts"
	openRole  = "arn:aws:iam::111122223333:role/open"
)

// trust is a trust policy.
type trust struct {
	Statement []struct {
		Effect, Action string
		Principal      struct{ AWS []string }
		Condition      struct{ StringEquals map[string]string }
	}
}

func (p trust) externalID() string { return p.Statement[0].Condition.StringEquals["sts:ExternalId"] }

func read[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestACredentialGoesFromTheCommandToARoleThatTrustsIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tenants.json")
	env := append(environment(), "SCRIPTFLEET_TENANTS="+file, "SCRIPTFLEET_PLATFORM_ACCOUNT=123456789012,444455556666")
	credentials := func(args ...string) told { return scriptfleet(t, env, append([]string{"credentials"}, args...)...) }

	added := credentials("add", "acme", "prod", "--role", theirRole)
	added.says(t, 0, "credentials check acme prod")
	policy := read[trust](t, added.Stdout)
	id := policy.externalID()
	if s := policy.Statement[0]; !slices.Equal(s.Principal.AWS, []string{"arn:aws:iam::123456789012:root", "arn:aws:iam::444455556666:root"}) ||
		s.Effect != "Allow" || s.Action != "sts:AssumeRole" || len(id) < 20 {
		t.Errorf("the policy is %s", added.Stdout)
	}
	if again := credentials("add", "acme", "prod", "--role", theirRole); again.Stdout != added.Stdout {
		t.Errorf("added again: %s", again.Stdout)
	}
	credentials("add", "acme", "prod", "--role", openRole).says(t, 2, "--replace")
	credentials("add", "acme", "ours", "--role", "arn:aws:iam::444455556666:role/worker").says(t, 2, "platform's own")
	credentials("add", "acme", "x", "--role", "scripts").says(t, 2, "not the ARN of a role")
	credentials("add", "acme", "x", "--role", theirRole, "--platform-account", "12").says(t, 2, "--platform-account", "12 digits")
	if open := credentials("add", "acme", "open", "--role", openRole, "--runtime", "aws-cli"); read[trust](t, open.Stdout).externalID() != id {
		t.Error("a second credential has another external ID")
	}
	if other := credentials("add", "globex", "prod", "--role", "arn:aws:iam::222233334444:role/missing"); read[trust](t, other.Stdout).externalID() == id {
		t.Error("another tenant has the same external ID")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if list := credentials("list", "acme"); !strings.Contains(list.Stdout, theirRole) || strings.Contains(list.Stdout+list.Stderr, id) {
		t.Errorf("the list is %s", list.Stdout)
	}

	s := stack.Start(t, localaws.Config{Partitions: 1, Roles: []localaws.Role{{ARN: theirRole, ExternalIDs: []string{id}}, {ARN: openRole}}})
	env = append(env, without(s.Env(), "SCRIPTFLEET_ROLE_ARN")...) // its account is one of the platform's
	if got := credentials("check", "acme", "prod"); got.Code != 0 || !strings.Contains(got.Stdout, "acme prod: can be used") {
		t.Errorf("the good one: %+v", got)
	}
	got := credentials("check", "--json")
	got.says(t, 1, "2 of 3 credentials cannot be used")
	all := read[[]struct {
		Tenant, Credential, Code, Reason string
		OK                               bool
		TrustPolicy                      *trust `json:"trust_policy"`
	}](t, got.Stdout)
	if len(all) != 3 || all[0].Code != "OpenRole" || !strings.Contains(all[0].Reason, "whoever learns its ARN") || !all[1].OK ||
		all[2].Code != "AccessDenied" || all[2].TrustPolicy == nil || all[2].TrustPolicy.externalID() == "" {
		t.Errorf("all: %s", got.Stdout)
	}
	credentials("check", "acme", "prod", "--platform-account", "777788889999").says(t, 2, "give --platform-account 123456789012")

	credentials("remove", "acme", "prod").says(t, 0, "removed")
	credentials("remove", "acme", "prod").says(t, 1, "no credential")
	credentials("check", "acme", "prod").says(t, 2, "no such credential")
	if policy := credentials("policy", "acme"); read[trust](t, policy.Stdout).externalID() != id {
		t.Error("the external ID is another one after a credential was removed")
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	credentials("add", "acme", "prod", "--role", theirRole).says(t, 1, "mend the file first")
}

// helpWithRoles are the lines of a command's help that use --role.
func helpWithRoles(t *testing.T, command string) []string {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^  .*scriptfleet run .*--role .*$`).FindAllString(scriptfleet(t, environment(), command, "--help").Stdout, -1)
	if len(lines) < 3 {
		t.Fatalf("the help of %s shows %q", command, lines)
	}
	return lines
}

// The lines are pasted as they are, in a folder with the script that they name.
// After the first, nothing can be fetched from the package index.
func TestTheHelpsLinesWithARoleWorkAsTheyAreShown(t *testing.T) {
	t.Parallel()
	uv, err := program.Tool("uv")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	paste := func(line string, more ...string) told {
		env := environment(append(more, "SCRIPTFLEET_UV="+uv, "PATH="+binaries+":"+os.Getenv("PATH"))...)
		got := told(process.Run(t, env, "", "/bin/sh", "-c", "cd "+dir+" && "+line))
		if got.Code != 0 {
			t.Errorf("%s: exit code %d: %s", line, got.Code, got.Stderr)
		}
		return got
	}
	lines := helpWithRoles(t, "run")
	for i, says := range []string{`"reports"`, `assumed-role/aws-prod/local@`, "reports\""} {
		var more []string
		if i == 2 { // both layers are in the cache
			more = []string{"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}
		}
		if got := paste(lines[i], more...); !strings.Contains(got.Stdout, says) {
			t.Errorf("%s prints %s", lines[i], got.Stdout)
		}
	}
}
