package commands

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// without is an environment without the named variables.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains(names, name)
	})
}

// value is the last value of a variable in an environment.
func value(env []string, name string) (v string) {
	for _, line := range env {
		if rest, ok := strings.CutPrefix(line, name+"="); ok {
			v = rest
		}
	}
	return v
}

// send puts bodies on the requests queue.
func (l local) send(t *testing.T, bodies ...string) {
	t.Helper()
	client := sqs.New(sqs.Options{
		Region: value(l.env, "AWS_REGION"), BaseEndpoint: aws.String(value(l.env, "AWS_ENDPOINT_URL")),
		Credentials: credentials.NewStaticCredentialsProvider(value(l.env, "AWS_ACCESS_KEY_ID"), value(l.env, "AWS_SECRET_ACCESS_KEY"), ""),
	})
	for _, body := range bodies {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String(value(l.env, "AWS_ENDPOINT_URL") + "/123456789012/scriptfleet-requests"), MessageBody: aws.String(body),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeadLettersAreDeletedOneManyAndByReasonWithoutRedis(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--poll-wait", "1s")
	env := without(l.env, "REDIS_URL")
	for _, act := range [][]string{{"list"}, {"delete", "--all"}, {"redrive", "--all"}} {
		if got := scriptfleet(t, env, append([]string{"dlq"}, append(act, "--requests", "--look", "1s")...)...); got.Code != 0 || !strings.Contains(got.Stdout, "No such dead letter was seen") {
			t.Errorf("dlq %s of nothing: exit code %d, %q, %q", act, got.Code, got.Stdout, got.Stderr)
		}
	}
	l.send(t, "junk", "more junk", `{"id": "nobody's"}`, "last junk")
	type letter struct {
		ID   string `json:"id"`
		Type string `json:"error_type"`
	}
	list := func() (all []letter) {
		return lines[letter](t, scriptfleet(t, env, "dlq", "list", "--requests", "--json", "--look", "1s"))
	}
	var all []letter
	four := func() bool { all = list(); return len(all) == 4 }
	wait.Until(t, within, "the letters do not come", four)
	wait.Until(t, within, "letters that come back are sent again", func() bool {
		got := scriptfleet(t, env, "dlq", "redrive", "--all", "--requests", "--look", "2s")
		return got.Code == 1 && strings.Count(got.Stdout, "sent again") <= 4 && strings.Contains(got.Stderr, "came back")
	})
	wait.Until(t, within, "the letters do not come back", four)
	conform(t, scriptfleet(t, env, "dlq", "list", "--requests", "--json", "--look", "1s"), "dlq list")
	ofJunk, other := "", ""
	for _, one := range all {
		if n := strings.Count(strings.Join(types(all, func(x letter) string { return x.Type }), " "), one.Type); n == 3 {
			ofJunk = one.Type
		} else {
			other = one.ID
		}
	}
	scriptfleet(t, env, "dlq", "delete", "--requests", "--type", ofJunk, "--dry-run", "--look", "1s").says(t, 0)
	wait.Until(t, within, "a dry run deleted letters", func() bool { return len(list()) == 4 })
	scriptfleet(t, env, "dlq", "delete", "--requests", other, "--look", "1s").says(t, 0)
	scriptfleet(t, env, "dlq", "delete", "--requests", other, "--look", "1s").says(t, 1, "were not seen")
	wait.Until(t, within, "deleting by type leaves some", func() bool {
		scriptfleet(t, env, "dlq", "delete", "--requests", "--type", ofJunk, "--look", "1s").says(t, 0)
		return len(list()) == 0
	})
	scriptfleet(t, env, "dlq", "delete", "--requests").says(t, 2, "say which")
	scriptfleet(t, append(env, "SCRIPTFLEET_ALL=true"), "dlq", "delete", "--requests").says(t, 2, "say which")
}

// lines are the objects that a command printed, one a line.
func lines[T any](t *testing.T, got told) (all []T) {
	t.Helper()
	for line := range strings.Lines(got.Stdout) {
		var one T
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s%s", err, got.Stdout, got.Stderr)
		}
		all = append(all, one)
	}
	return all
}

// conform checks what a command printed by its published schema, and returns how
// many lines it was.
func conform(t *testing.T, got told, command string) int {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(command)
	c := jsonschema.NewCompiler()
	s, err := c.Compile(filepath.Join(root, "cmd", "scriptfleet", "schemas", words[0]+".schema.json"))
	if err != nil {
		s, err = c.Compile(filepath.Join(root, "cmd", "scriptfleet", "schemas", words[0]+"-"+words[1]+".schema.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
	all := lines[any](t, got)
	for _, one := range all {
		if err := s.Validate(one); err != nil {
			t.Errorf("%s prints %v: %v", command, one, err)
		}
	}
	return len(all)
}

func types[T any](all []T, of func(T) string) (names []string) {
	for _, x := range all {
		names = append(names, of(x))
	}
	return names
}

func TestOperatorsCommandsGoByWhatTheSDKFinds(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--no-fleet")
	// The endpoint is in the SDK's configuration file, where on AWS the region
	// is.
	config := files.Write(t, "config", "[default]\nregion = "+value(l.env, "AWS_REGION")+"\nendpoint_url = "+value(l.env, "AWS_ENDPOINT_URL")+"\n")
	env := append(without(l.env, "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"), "AWS_CONFIG_FILE="+config)
	for _, args := range [][]string{{"check", "--settle", "0s"}, {"functions", "list"}, {"dlq", "list", "--look", "1s"}} {
		scriptfleet(t, env, args...).says(t, 0)
	}
	scriptfleet(t, environment("AWS_CONFIG_FILE="+files.Write(t, "config", ""), "AWS_EC2_METADATA_DISABLED=true"), "functions", "list").says(t, 2, "no AWS region is set")
	scriptfleet(t, without(env, "REDIS_URL"), "check").says(t, 2, "no Redis is set")
	scriptfleet(t, env, "status").says(t, 1, "no dispatcher of scriptfleet takes work")
	l.send(t, `{"specversion":"1.0","type":"scriptfleet.run.requested","source":"/s","id":"1","tenant":"acme","data":{"script":"x","input":{"key":"secret"}}}`, "junk")
	for range 2 { // what is recorded stays on the queue
		got := scriptfleet(t, env, "record", "--queue", "requests", "--for", "2s", "--redact")
		if all := lines[struct{ ID, Tenant string }](t, got); len(all) != 1 || all[0].ID != "1" || strings.Contains(got.Stdout, "secret") || !strings.Contains(got.Stdout, `"key":"xxxxxx"`) {
			t.Errorf("recorded: %s%s", got.Stdout, got.Stderr)
		}
	}
	scriptfleet(t, env, "record", "--queue", "dead-letters", "--for", "1s").says(t, 1, "nothing was recorded")
	for _, args := range [][]string{{"dlq", "list", "--redis-url", "x"}, {"check", "--memory-mb", "256"}, {"explain", "x", "--concurrency", "3"}} {
		scriptfleet(t, env, args...).says(t, 2, "unknown flag")
	}
	refused := append(slices.Clone(l.env), "AWS_ENDPOINT_URL=http://127.0.0.1:1")
	if got := scriptfleet(t, refused, "dlq", "list"); strings.Contains(got.Stderr, "is --prefix right?") || got.Code == 0 {
		t.Errorf("of an address where nothing listens: exit code %d, %s", got.Code, got.Stderr)
	}
	if got := scriptfleet(t, l.env, "dlq", "list", "--prefix", "other"); !strings.Contains(got.Stderr, "is --prefix right?") {
		t.Errorf("of a prefix that no queue has: %s", got.Stderr)
	}
}

func TestExplainFindsAnOpenRunByTheIDOfItsRequest(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--poll-wait", "1s")
	l.send(t, `{"specversion":"1.0","type":"scriptfleet.run.requested","source":"/s","id":"request-7","tenant":"acme","data":{"script":"import time\ndef main(input):\n    time.sleep(50)","timeout_seconds":60}}`)
	wait.Until(t, within, "explain does not find the run", func() bool {
		got := scriptfleet(t, l.env, "explain", "request-7")
		return got.Code == 0 && strings.Contains(got.Stdout, "request-7 of acme, /s")
	})
	ended := scriptfleet(t, l.env, "run", files.Write(t, "good.py", "def main(input):\n    return 1\n"), "--event")
	var event struct{ ID string }
	if err := json.Unmarshal([]byte(ended.Stdout), &event); err != nil {
		t.Fatalf("%v: %s%s", err, ended.Stdout, ended.Stderr)
	}
	wait.Until(t, within, "the run that ended has no attempts", func() bool {
		got := scriptfleet(t, l.env, "explain", event.ID)
		return strings.Contains(got.Stdout, "published") && strings.Contains(got.Stdout, "attempts 1")
	})
	type process struct {
		Role  string
		Ready bool
	}
	looks := lines[struct {
		Processes []process
		Queues    []struct{ Queue string }
		Backlogs  []struct {
			Tenant string
			Open   int
		}
	}](t, scriptfleet(t, l.env, "status", "--json"))
	if s := looks[0]; !slices.Equal(s.Processes, []process{{"dispatcher", true}, {"worker", true}}) || len(s.Queues) != 8+5 || len(s.Backlogs) != 1 || s.Backlogs[0].Open != 1 {
		t.Errorf("status is %+v", s)
	}
	for _, command := range []string{"status", "check", "runs list", "runs show " + event.ID, "explain request-7", "tenants list", "functions list"} {
		if n := conform(t, scriptfleet(t, l.env, append(strings.Fields(command), "--json")...), command); n == 0 {
			t.Errorf("%s prints nothing", command)
		}
	}
	type shown struct{ Run, Tenant, Status string }
	for _, args := range [][]string{{"list", "--tenant", "local"}, {"list", "--status", "succeeded", "--within", "1h"}, {"show", event.ID}} {
		if all := lines[shown](t, scriptfleet(t, l.env, append(append([]string{"runs"}, args...), "--json")...)); !slices.Equal(all, []shown{{event.ID, "local", "succeeded"}}) {
			t.Errorf("runs %s: %+v", args, all)
		}
	}
	if got := scriptfleet(t, l.env, "runs", "show", event.ID); !strings.Contains(got.Stdout, "execute") || !strings.Contains(got.Stdout, "█") {
		t.Errorf("runs show: %s%s", got.Stdout, got.Stderr)
	}
	scriptfleet(t, l.env, "runs", "show", "request-7").says(t, 1, "it has not ended")
	for _, none := range [][]string{{"--tenant", "acme"}, {"--status", "failed"}, {"--action", "x"}, {"--script", "zzz"}} {
		if got := scriptfleet(t, l.env, append([]string{"runs"}, none...)...); !strings.Contains(got.Stdout, "No such run has ended") {
			t.Errorf("runs %s: %s%s", none, got.Stdout, got.Stderr)
		}
	}
	var summary struct{ ID string }
	_ = json.Unmarshal([]byte(scriptfleet(t, l.env, "runs", "show", event.ID, "--json").Stdout), &summary)
	if got := scriptfleet(t, l.env, "explain", summary.ID); !strings.Contains(got.Stdout, "scriptfleet runs show "+event.ID) {
		t.Errorf("explain of a request that was answered: %s%s", got.Stdout, got.Stderr)
	}
	if got := scriptfleet(t, l.env, "explain", "unheard-of"); got.Code != 1 || !strings.Contains(got.Stdout, "add --tenant and --source") {
		t.Errorf("exit code %d: %s%s", got.Code, got.Stdout, got.Stderr)
	}
}

func TestWhatTheCommandLineCannotReadNeverLeavesIt(t *testing.T) {
	t.Parallel()
	good := files.Write(t, "good.py", "def main(input):\n    return 1\n")
	bad := files.Write(t, "bad.py", "def main(input):\n    return 'caf\xe9'\n")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"run", bad}, 2, "is not UTF-8: line 2"},
		{[]string{"run", good, "--input", "@" + bad}, 2, "is not UTF-8"},
		{[]string{"run", good, "--requirements", bad}, 2, "is not UTF-8"},
		{[]string{"run", good, "--tenant", "A B"}, 5, "tenant"},
		{[]string{"run", good, "--timeout", "0"}, 2, "--timeout is 0: use 1 to 900"},
		{[]string{"replay", "--generate", "tenants=1", "--rate", "0"}, 2, "--rate"},
		{[]string{"replay", "--generate", "tenants=1,scripts=1,requests=1", "--report", "/no/such/folder/report.json"}, 2, "open --report"},
	} {
		scriptfleet(t, environment(), c.args...).says(t, c.code, c.says)
	}
}

func TestTheSameFileSentAgainIsAnsweredBeforeAndNotLost(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--poll-wait", "1s")
	batch := files.Write(t, "batch.jsonl", `{"tenant":"acme","source":"/s","id":"one","specversion":"1.0","type":"scriptfleet.run.requested","data":{"script":"def main(input): return 1"}}
{"tenant":"acme","source":"/s","id":"two","specversion":"1.0","type":"scriptfleet.script.saved","data":{"script":"def main(input): return 2"}}
`)
	args := []string{"replay", batch, "--keep-ids", "--linger", "0s", "--wait", "1m"}
	first := scriptfleet(t, l.env, args...)
	if first.Code != 0 || !strings.Contains(first.Stdout, "1 scripts ran, 2 builds (1 ahead, by script.saved)") {
		t.Errorf("the first time: exit code %d: %s%s", first.Code, first.Stdout, first.Stderr)
	}
	again := scriptfleet(t, l.env, args...)
	if again.Code != 0 || !strings.Contains(again.Stdout, "2 answered before") || !strings.Contains(again.Stdout, "0 lost") {
		t.Errorf("again: exit code %d: %s%s", again.Code, again.Stdout, again.Stderr)
	}
	mixed := files.Write(t, "mixed.jsonl", "no request\n")
	scriptfleet(t, l.env, "replay", mixed).says(t, 2, "line 1")
	if got := scriptfleet(t, l.env, "replay", mixed, "--allow-invalid", "--linger", "0s"); got.Code != 0 || !strings.Contains(got.Stdout, "1 requests named no run") {
		t.Errorf("exit code %d: %s%s", got.Code, got.Stdout, got.Stderr)
	}
}

func TestARunNeedsNoHome(t *testing.T) {
	t.Parallel()
	env := without(environment(), "HOME", "XDG_CACHE_HOME", "SCRIPTFLEET_CACHE_DIR")
	got := scriptfleet(t, env, "run", files.Write(t, "good.py", "def main(input):\n    return 1\n"))
	if got.Code != 0 && !strings.Contains(got.Stderr, "--cache-dir") {
		t.Errorf("exit code %d: %s%s", got.Code, got.Stdout, got.Stderr)
	}
}
