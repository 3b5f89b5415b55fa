package commands

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
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
	all := lines[struct {
		Tenant, Credential, Code, Reason string
		OK                               bool
		TrustPolicy                      *trust `json:"trust_policy"`
	}](t, got)
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

// page are the commands of the authors' page that use a role, each with what it
// prints; … stands for any text.
func page(t *testing.T) (commands, prints []string) {
	t.Helper()
	text := files.Read(t, "../../../SCRIPTS.md")
	for _, m := range regexp.MustCompile(`(?m)^\$ (.*scriptfleet run .*--role .*)\n(.*)$`).FindAllStringSubmatch(text, -1) {
		commands = append(commands, m[1])
		prints = append(prints, "^"+strings.ReplaceAll(regexp.QuoteMeta(m[2]), "…", ".*")+"\n$")
	}
	if len(commands) < 3 {
		t.Fatalf("the page has %q", commands)
	}
	return commands, prints
}

// The commands are pasted as they are, in a folder that has only the examples.
// After the second, nothing can be fetched from the package index. The help of
// run has the same ones.
func TestTheAuthorsPageGivesItsEventsWithACredential(t *testing.T) {
	t.Parallel()
	uv, errTool := program.Tool("uv")
	examples, errPath := filepath.Abs("../../../examples")
	dir := t.TempDir()
	if err := errors.Join(errTool, errPath, os.Symlink(examples, filepath.Join(dir, "examples"))); err != nil {
		t.Fatal(err)
	}
	scriptfleet(t, environment(), "run", filepath.Join(examples, "buckets.py"), "--role", "aws-prod").says(t, 2, "give --credential")
	help := scriptfleet(t, environment(), "run", "--help").Stdout
	commands, prints := page(t)
	for i, command := range commands {
		if !strings.Contains(help, "  "+command+"\n") {
			t.Errorf("the help of run does not show %s", command)
		}
		more := []string{"SCRIPTFLEET_UV=" + uv, "PATH=" + binaries + ":" + os.Getenv("PATH")}
		if i >= 2 { // both layers are in the cache
			more = append(more, "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1")
		}
		got := told(process.Run(t, environment(more...), "", "/bin/sh", "-c", "cd "+dir+" && "+command))
		if ok, err := regexp.MatchString(prints[i], got.Stdout); got.Code != 0 || !ok || err != nil {
			t.Errorf("%s prints %q, not %q; exit code %d: %s", command, got.Stdout, prints[i], got.Code, got.Stderr)
		}
	}
}
