package fleettest

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const hello = `def main(input):
    print("making", input["array_length"])
    return {"b": list(range(input["array_length"])), "a": "ü"}
`

const helloOutput = `{"b": [0, 1, 2, 3, 4], "a": "ü"}` + "\n"

func left(stdout, stderr string, code int) process.Ended {
	return process.Ended{Stdout: stdout, Stderr: stderr, Code: code}
}

// command runs scriptfleet to its end.
func command(t *testing.T, env []string, stdin string, args ...string) process.Ended {
	t.Helper()
	return process.Run(t, env, stdin, filepath.Join(shipped, "scriptfleet"), args...)
}

func TestRunWithAStackOfItsOwnPrintsTheOutputAlone(t *testing.T) {
	t.Parallel()
	got := command(t, program.Environment(ofTheTests()...), "", "run", script(t, hello), "--input", `{"array_length": 5}`)
	if got.Code != 0 || got.Stdout != helloOutput || got.Stderr != "scriptfleet: an embedded stack, started for this run alone\nmaking 5\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", got.Code, got.Stdout, got.Stderr)
	}
}

func TestSettingThatDoesNotWorkIsAnErrorOfUsage(t *testing.T) {
	t.Parallel()
	env := program.Environment(ofTheTests()...)
	for _, args := range [][]string{{"run", script(t, hello), "--uv", "/nope"}, {"local", "--aws-addr", "127.0.0.1:0", "--redis-addr", "127.0.0.1:0", "--admin-addr", "", "--uv", "/nope"}} {
		if got := command(t, env, "", args...); got.Code != 2 || !strings.Contains(got.Stderr, "uv is set to /nope") {
			t.Errorf("%s: exit code %d, stderr %q", args[0], got.Code, got.Stderr)
		}
	}
}

func TestRunReachesEachOfItsExitCodes(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, "--allow-retired", "--runtimes", files.Write(t, "runtimes.json", `{"runtimes": [
		{"name": "deprecated", "lambda": "python3.13", "python": "3.13", "platform": "manylinux_2_34", "deprecated": "2024-01-01", "create_blocked": "2024-03-01"},
		{"name": "not-installed", "lambda": "python3.99", "python": "3.99", "platform": "manylinux_2_34"}]}`))
	short := script(t, "def main(input):\n    return 1")
	file := func(content string) string { return files.Write(t, "a-file", content) }
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		want  process.Ended // stderr: a part of it
	}{
		{"succeeded", []string{script(t, hello), "--input", `{"array_length": 5}`}, "", left(helloOutput, "making 5\n", 0)},
		{"succeeded, from standard input", []string{"-"}, "def main(input):\n    return None", left("null\n", "", 0)},
		{"succeeded, with input from a file", []string{short, "--input", "@" + file(`{"n": 1}`)}, "", left("1\n", "", 0)},
		{"succeeded, on a deprecated runtime", []string{short, "--runtime", "deprecated"}, "", left("1\n",
			"scriptfleet: The runtime deprecated is deprecated: it has had no security fixes since 2024-01-01, and Lambda makes no new functions with it from 2024-03-01 on. Set data.runtime to one of ", 0)},
		{"build_failed, on a Python that is not installed", []string{short, "--runtime", "not-installed"}, "", left("", "RuntimeNotInstalled: The runtime parameter of python3.99 is not supported here: it is not installed on this machine. Install Python 3.99", 3)},
		{"failed", []string{"-"}, "def main(input):\n    return input['gone']", left("", "failed: KeyError: main raised KeyError: 'gone' (script.py, line 2).", 1)},
		{"no file", []string{"no-such-file.py"}, "", left("", "read the script", 2)},
		{"no script", nil, "", left("", "name the script", 2)},
		{"unknown flag", []string{short, "--speed", "11"}, "", left("", "--speed", 2)},
		{"input that is no JSON", []string{short, "--input", "{array_length: 5}"}, "", left("", "--input is not JSON", 2)},
		{"requirements that are not there", []string{short, "--requirements", "no-such-file.txt"}, "", left("", "no-such-file.txt", 2)},
		{"build_failed", []string{"-"}, "def main(input)\n    return 1", left("", "build_failed: SyntaxError", 3)},
		{"timed_out", []string{"-", "--timeout", "1"}, "import time\ndef main(input):\n    time.sleep(60)", left("", "timed_out: Timeout", 4)},
		{"rejected", []string{short, "--timeout", "61"}, "", left("", "rejected: InvalidTimeout: data.timeout_seconds is 61: use 1 to 60", 5)},
		{"out_of_memory", []string{"-"}, "def main(input):\n    return len(bytearray(1 << 30))", left("", "out_of_memory: MemoryError", 6)},
		{"no result in time", []string{"-", "--wait", "1s"}, "import time\ndef main(input):\n    time.sleep(5)", left("", "no result for run", 6)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := command(t, f.env(), c.stdin, append([]string{"run"}, c.args...)...)
			if got.Code != c.want.Code || got.Stdout != c.want.Stdout || !strings.Contains(got.Stderr, c.want.Stderr) {
				t.Errorf("exit code %d, stdout %q, stderr %q", got.Code, got.Stdout, got.Stderr)
			}
		})
	}
	t.Run("the event, with the same exit code", func(t *testing.T) {
		got := command(t, f.env(), "def main(input):\n    print('before')\n    raise ValueError('no')", "run", "-", "--event")
		var res run.Result
		if err := json.Unmarshal([]byte(got.Stdout), &res); err != nil || res.Data.Status != run.Failed || res.Data.Error.Type != "ValueError" || res.Data.Logs.Stdout != "before\n" {
			t.Errorf("stdout is no event of the failure (%v): %s", err, got.Stdout)
		}
		if got.Code != 1 || !strings.HasPrefix(got.Stderr, "scriptfleet: the fleet scriptfleet at http://127.0.0.1:") {
			t.Errorf("exit code %d, stderr %q", got.Code, got.Stderr)
		}
	})
}

func script(t *testing.T, source string) string { return files.Write(t, "script.py", source) }
