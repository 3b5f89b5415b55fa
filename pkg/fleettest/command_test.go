package fleettest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const hello = `def main(input):
    print("making", input["array_length"])
    return {"b": list(range(input["array_length"])), "a": "ü"}
`

const helloOutput = `{"b": [0, 1, 2, 3, 4], "a": "ü"}` + "\n"

// told is what a command left behind.
type told struct {
	stdout, stderr string
	code           int
}

// command runs scriptfleet to its end.
func command(t *testing.T, env []string, stdin string, args ...string) told {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(shipped, "scriptfleet"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(stdin), &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return told{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestRunWithAStackOfItsOwnPrintsTheOutputAlone(t *testing.T) {
	t.Parallel()
	got := command(t, program.Environment(ofTheTests()...), "", "run", script(t, hello), "--input", `{"array_length": 5}`)
	if got.code != 0 || got.stdout != helloOutput || got.stderr != "scriptfleet: an embedded stack, started for this run alone\nmaking 5\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}

func TestRunReachesEachOfItsExitCodes(t *testing.T) {
	t.Parallel()
	f := launchFleet(t)
	short := script(t, "def main(input):\n    return 1")
	file := func(content string) string { return files.Write(t, "a-file", content) }
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		want  told // of stderr, a part
	}{
		{"succeeded", []string{script(t, hello), "--input", `{"array_length": 5}`}, "", told{helloOutput, "making 5\n", 0}},
		{"succeeded, from standard input", []string{"-"}, "def main(input):\n    return None", told{"null\n", "", 0}},
		{"succeeded, with input from a file", []string{short, "--input", "@" + file(`{"n": 1}`)}, "", told{"1\n", "", 0}},
		{"failed", []string{"-"}, "def main(input):\n    return input['gone']", told{"", "failed: KeyError: main raised KeyError: 'gone' (script.py, line 2).", 1}},
		{"no file", []string{"no-such-file.py"}, "", told{"", "read the script", 2}},
		{"no script", nil, "", told{"", "expected \"<file>\"", 2}},
		{"unknown flag", []string{short, "--speed", "11"}, "", told{"", "--speed", 2}},
		{"input that is no JSON", []string{short, "--input", "{array_length: 5}"}, "", told{"", "--input is not JSON", 2}},
		{"requirements that are not there", []string{short, "--requirements", "no-such-file.txt"}, "", told{"", "no-such-file.txt", 2}},
		{"build_failed", []string{"-"}, "def main(input)\n    return 1", told{"", "build_failed: SyntaxError", 3}},
		{"timed_out", []string{"-", "--timeout", "1"}, "import time\ndef main(input):\n    time.sleep(60)", told{"", "timed_out: Timeout", 4}},
		{"rejected", []string{short, "--timeout", "61"}, "", told{"", "rejected: InvalidTimeout: data.timeout_seconds is 61: use 1 to 60", 5}},
		{"out_of_memory", []string{"-"}, "def main(input):\n    return len(bytearray(1 << 30))", told{"", "out_of_memory: MemoryError", 6}},
		{"no result in time", []string{"-", "--wait", "1s"}, "import time\ndef main(input):\n    time.sleep(5)", told{"", "no result for run", 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := command(t, f.env(), c.stdin, append([]string{"run"}, c.args...)...)
			if got.code != c.want.code || got.stdout != c.want.stdout || !strings.Contains(got.stderr, c.want.stderr) {
				t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
			}
		})
	}
	t.Run("the event, with the same exit code", func(t *testing.T) {
		got := command(t, f.env(), "def main(input):\n    print('before')\n    raise ValueError('no')", "run", "-", "--event")
		var res run.Result
		if err := json.Unmarshal([]byte(got.stdout), &res); err != nil || res.Data.Status != run.Failed || res.Data.Error.Type != "ValueError" || res.Data.Logs.Stdout != "before\n" {
			t.Errorf("stdout is no event of the failure (%v): %s", err, got.stdout)
		}
		if got.code != 1 || !strings.HasPrefix(got.stderr, "scriptfleet: the fleet scriptfleet at http://127.0.0.1:") {
			t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
		}
	})
}

func script(t *testing.T, source string) string { return files.Write(t, "script.py", source) }
