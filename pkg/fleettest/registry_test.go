package fleettest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// shared is a script whose text has the word SECRET in each line that could be
// shown. It returns its release.
const shared = `import threading, time, traceback  # SECRET

def main(input):
    if input.get("wait"):
        time.sleep(60)  # SECRET
    if input.get("fail"):
        thread = threading.Thread(target=deeper)  # SECRET
        thread.start()
        thread.join()
        try:
            deeper()  # SECRET
        except ZeroDivisionError:
            traceback.print_exc()
        return deeper()  # SECRET
    return "release 1"

def deeper():
    return 1 / 0  # SECRET
`

// scripts runs scriptfleet scripts for tenant acme.
func (f *fleet) scripts(t *testing.T, want int, args ...string) string {
	t.Helper()
	got := command(t, f.env(), "", append([]string{"scripts"}, append(args, "--tenant", "acme")...)...)
	if got.Code != want {
		t.Errorf("scripts %v: exit code %d, stdout %q, stderr %q", args, got.Code, got.Stdout, got.Stderr)
	}
	return got.Stdout + got.Stderr
}

// onQueues are the bodies of all messages that are visible, and the number of
// those that contain the mark.
func (f *fleet) onQueues(t *testing.T, mark string) (bodies string, found int) {
	t.Helper()
	client := sqs.NewFromConfig(f.set.Config())
	queues, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range queues.QueueUrls {
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got.Messages {
			bodies += aws.ToString(m.Body) + "\n"
			put := &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle} // seen again at once
			if _, err := client.ChangeMessageVisibility(t.Context(), put); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(url, "-partition-") && strings.Contains(aws.ToString(m.Body), mark) {
				found++
			}
		}
	}
	return bodies, found
}

func TestACallerGetsWhatAScriptReturnsAndNeverItsText(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	dispatcher := f.process("dispatcher", nil)
	file := script(t, shared)
	push := func(want int, args ...string) string {
		t.Helper()
		return f.scripts(t, want, append([]string{"push", file, "--id", "phishing/extract", "--timeout", "3"}, args...)...)
	}
	push(0, "--allow", "team-b", "--reader", "team-a", "--no-build", "--label", "prod")
	byTeamB := Data{ScriptRef: "phishing/extract@prod", Caller: "team-b"}
	f.send(request("first", byTeamB))
	seen := ""
	eventually(t, "the run is on no partition", func() bool {
		bodies, found := f.onQueues(t, `"first"`)
		seen += bodies
		return found > 0
	})

	// The version was decided when the run was accepted.
	rewrite(t, file, strings.Replace(shared, "release 1", "release 2", 1))
	if said := push(0, "--dry-run"); !strings.Contains(said, "-    return \"release 1\"\n+    return \"release 2\"\n") {
		t.Errorf("the dry run says %s", said)
	}
	push(0, "--no-build", "--label", "prod")
	worker := f.worker()
	first := f.Await(t, "first")
	if string(first.Data.Output) != `"release 1"` || !strings.HasPrefix(first.Data.ScriptRef, "phishing/extract@") {
		t.Errorf("the accepted run gave %s", first.Body)
	}

	// Build ahead: the first run finds it.
	if said := push(0); !strings.Contains(said, "unchanged, build succeeded (its answer went to another consumer") {
		t.Errorf("the push says %s", said)
	}
	f.send(request("second", byTeamB),
		request("fails", Data{ScriptRef: "phishing/extract", Caller: "team-b", Input: map[string]bool{"fail": true}}),
		request("waits", Data{ScriptRef: "phishing/extract", Caller: "team-b", Input: map[string]bool{"wait": true}}),
		request("pinned", Data{ScriptRef: first.Data.ScriptRef, Caller: "team-a"}))
	second := f.Await(t, "second")
	if string(second.Data.Output) != `"release 2"` || second.Data.Build.Outcome != run.BuildReused {
		t.Errorf("the run after the push gave %s", second.Body)
	}
	if pinned := f.Await(t, "pinned"); string(pinned.Data.Output) != `"release 1"` {
		t.Errorf("the pinned version gave %s", pinned.Body)
	}
	fails := f.Await(t, "fails")
	checkError(t, f.Await(t, "waits"), run.TimedOut, run.OwnerAuthor, "Timeout")
	checkError(t, fails, run.Failed, run.OwnerAuthor, "ZeroDivisionError")
	if !strings.Contains(fails.Data.Error.Traceback, `"script.py", line 14, in main`) || strings.Count(fails.Data.Logs.Stderr, "ZeroDivisionError") < 2 {
		t.Errorf("its author cannot tell where: %s", fails.Body)
	}

	t.Run("who is not allowed is refused", func(t *testing.T) {
		for id, body := range map[string]string{
			"no-caller":     request("no-caller", Data{ScriptRef: "phishing/extract"}),
			"another-team":  request("another-team", Data{ScriptRef: "phishing/extract", Caller: "team-c"}),
			"ahead-by-it":   Event(run.TypeSaved, "acme", Story, "ahead-by-it", encode(Data{ScriptRef: "phishing/extract", Caller: "team-c"})),
			"other-tenant":  Request("globex", "other-tenant", byTeamB),
			"no-such-label": request("no-such-label", Data{ScriptRef: "phishing/extract@live", Caller: "team-b"}),
		} {
			f.send(body)
			kind := "CallerNotAllowed"
			if id == "other-tenant" || id == "no-such-label" {
				kind = "UnknownScript"
			}
			checkError(t, f.Await(t, id), run.Rejected, run.OwnerAuthor, kind)
		}
		if said := f.scripts(t, 1, "show", "phishing/extract", "--caller", "team-b"); strings.Contains(said, "SECRET") || !strings.Contains(said, "may not read") {
			t.Errorf("show for who may only run says %s", said)
		}
		if said := f.scripts(t, 0, "show", "phishing/extract", "--caller", "team-a"); !strings.Contains(said, "SECRET") {
			t.Errorf("show for a reader says %s", said)
		}
	})

	rewrite(t, file, "def main(input):\n    return SECRET SECRET\n")
	if said := push(3); !strings.Contains(said, "build_failed") || strings.Contains(said, "SECRET") {
		t.Errorf("the push of a broken script says %s", said)
	}
	listed := f.scripts(t, 0, "list", "--json")
	f.scripts(t, 0, "remove", "phishing/extract")
	f.send(request("removed", byTeamB))
	checkError(t, f.Await(t, "removed"), run.Rejected, run.OwnerAuthor, "UnknownScript")
	f.send(`{"data":{"script_ref":"phishing/extract"}}`) // a dead letter
	eventually(t, "there is no dead letter", func() bool {
		bodies, _ := f.onQueues(t, "")
		seen += bodies
		return strings.Contains(bodies, `{"data":{"script_ref"`)
	})

	t.Run("the text is nowhere", func(t *testing.T) {
		places := map[string]string{
			"a queue": seen, "Redis": f.inRedis(), "the stack's log": f.local.Said(), "the dispatcher's log": dispatcher.Said(), "the worker's log": worker.Said(),
			"explain": command(t, f.env(), "", "explain", string(fails.ID)).Stdout, "list": listed,
		}
		for _, id := range f.Subjects() {
			for _, r := range f.Results(id) {
				places["the result of "+id] = string(r.Body)
			}
		}
		for where, text := range places {
			if text == "" || strings.Contains(text, "SECRET") {
				t.Errorf("it is in %s: %s", where, text)
			}
		}
		if !strings.Contains(seen, `"script_ref":"`+first.Data.ScriptRef+`"`) || len(places) < 12 {
			t.Errorf("too little was looked at: %d places, queues with %s", len(places), seen)
		}
	})
}

func rewrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderOfARepositoryIsPushedWhole(t *testing.T) {
	t.Parallel()
	f := launchFleet(t)
	dir := t.TempDir()
	rewrite(t, filepath.Join(dir, "scriptfleet.toml"), `tenant = "acme"
[[script]]
id = "a"
file = "a.py"
[[script]]
id = "below/b"
file = "below/b.py"
timeout = 20
allow = ["team-b"]
`)
	rewrite(t, filepath.Join(dir, "a.py"), "def main(input):\n    return 'a'\n")
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(dir, "below", "b.py"), "def main(input):\n    return 'b'\n")
	got := command(t, f.env(), "", "scripts", "push", dir, "--json")
	done := strings.Split(strings.TrimSpace(got.Stdout), "\n")
	if got.Code != 0 || len(done) != 2 {
		t.Fatalf("exit code %d, stdout %s, stderr %s", got.Code, got.Stdout, got.Stderr)
	}
	for _, line := range done {
		var d struct {
			ID      string
			Created bool
			Build   struct{ Data run.ResultData }
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil || !d.Created || d.Build.Data.Build.Outcome != run.BuildBuilt {
			t.Errorf("%+v", d)
		}
	}
	for id, args := range map[string][]string{`"a"`: {"--script-ref", "a"}, `"b"`: {"--script-ref", "below/b", "--caller", "team-b"}} {
		if got := command(t, f.env(), "", append([]string{"run", "--tenant", "acme"}, args...)...); got.Stdout != id+"\n" {
			t.Errorf("%v: exit code %d, %q, %q", args, got.Code, got.Stdout, got.Stderr)
		}
	}
	if got := command(t, f.env(), "", "scripts", "push", dir, "--dry-run"); got.Stdout != "a: unchanged\nbelow/b: unchanged\n" {
		t.Errorf("the dry run says %q, %q", got.Stdout, got.Stderr)
	}
}
