package function

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// startRunnerHarness starts a harness that gives each script to an env runner.
func startRunnerHarness(t testing.TB, minor, path string) *harness {
	t.Helper()
	h := startHarness(t, minor, path)
	h.runner = true
	return h
}

// newestRunner is that of the newest Python.
func newestRunner(t testing.TB) *harness {
	t.Helper()
	newest, _ := interpreters(t).Newest()
	return startRunnerHarness(t, newest.Minor, newest.Path)
}

// ends are the oldest and the newest Python.
func ends(t testing.TB) []string {
	t.Helper()
	minors := interpreters(t).Minors()
	return slices.Compact([]string{minors[0], minors[len(minors)-1]})
}

// given is a script for an env runner.
func (h *harness) given(source string) run.Script {
	return run.Script{Runtime: h.python(), Source: source, Tenant: "acme", TimeoutSeconds: 10, MemoryMB: 128}
}

// What becomes of a script in its function becomes of it in an env runner, whatever
// the scripts before it did there: all of them have one.
func TestWhatBecomesOfScriptsInAnEnvRunner(t *testing.T) {
	for _, minor := range ends(t) {
		t.Run("python"+minor, func(t *testing.T) {
			t.Parallel()
			h := startRunnerHarness(t, minor, interpreters(t)[minor].Path)
			var calls []Call
			for _, c := range pythonCases {
				calls = append(calls, Call{Script: hashed(h.given(c.script)), Input: json.RawMessage(c.input)})
			}
			r := h.runGiven(t, h.given(""), calls...)
			for n, c := range pythonCases {
				if c.kind == syntaxError { // its build tells of it
					continue
				}
				t.Run(c.name, func(t *testing.T) { c.judge(t, Read(r.invocation(n), *calls[n].Script), r) })
			}
		})
	}
}

func TestNoScriptBreaksItsRunOrTheNextInAnEnvRunner(t *testing.T) {
	h, cases := newestRunner(t), slices.Concat(hostileStreams, hostilePatches, hostileValues)
	var calls []Call
	for _, c := range cases {
		s := hashed(h.given(c.script()))
		calls = append(calls, Call{Script: s}, Call{Script: s, Input: plainly.Input})
	}
	r := h.runGiven(t, h.given(""), calls...)
	for n, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			printed := "second\n"
			if c.body == "" {
				printed = c.stdout + printed // each run imports its script
			}
			s := *calls[2*n].Script
			c.judge(t, Read(r.invocation(2*n), s), Read(r.invocation(2*n+1), s), printed, r)
		})
	}
}

func TestWhereScriptsStoodWhenTheirTimeWasUpInAnEnvRunner(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	for _, c := range slices.Concat(slowCases, loopCases) {
		c.status, c.kind = run.TimedOut, "Timeout"
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startRunnerHarness(t, newest.Minor, newest.Path)
			c.check(t, h, h.python())
		})
	}
}

// It would wait for the answer until its timeout.
func TestAScriptOfAnEnvRunnerThatCallsARuntimeAPIEndsAtOnce(t *testing.T) {
	h := newestRunner(t)
	s := h.given("import os, time\ndef main(input):\n    os.write(3, b'POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\\r\\n\\r\\n')\n    time.sleep(60)\n")
	r := h.runGiven(t, s, Call{Script: hashed(s)}, Call{Script: hashed(s)})
	for n := range 2 {
		if o := Read(r.invocation(n), s); o.Status != run.Failed || o.Error == nil || o.Error.Type != "PythonBroken" {
			t.Errorf("run %d: %+v", n, o)
		}
	}
}

// No run waits for a fork: the child is there, without anything of the run before it.
func TestTheProcessOfARunIsForkedAheadOfIt(t *testing.T) {
	h := newestRunner(t)
	h.pauseMS = 300
	s := h.given("import os, time\ndef main(input):\n    began = int(open('/proc/self/stat').read().rpartition(')')[2].split()[19]) / os.sysconf('SC_CLK_TCK')\n" +
		"    return [os.getpid(), time.clock_gettime(time.CLOCK_BOOTTIME) - began > 0.2]\n")
	r := h.runGiven(t, s, Call{Script: hashed(s)}, Call{Script: hashed(s)})
	var pids []int
	for n := range 2 {
		var told [2]any
		if out := Read(r.invocation(n), s).Output; json.Unmarshal(out, &told) != nil || n > 0 && told[1] != true {
			t.Fatalf("run %d: %s", n, out)
		}
		pids = append(pids, int(told[0].(float64)))
	}
	if pids[0] == pids[1] {
		t.Error("two runs have one process")
	}
}

func TestAnEnvRunnerTakesNoScriptButThatOfTheHash(t *testing.T) {
	h := newestRunner(t)
	s := run.Script{Runtime: h.python(), Source: "def main(input): return 1\n", Tenant: "acme", EnvHash: "env", TimeoutSeconds: 10, MemoryMB: 128, Handler: "1"}
	for name, change := range map[string]func(given *run.Script){
		"source": func(given *run.Script) { given.Source = "def main(input): return 2\n" }, "timeout": func(given *run.Script) { given.TimeoutSeconds++ },
		"sealed": func(given *run.Script) { given.Sealed = true }, "hash": func(given *run.Script) { given.Hash = "x" },
		"tenant": func(given *run.Script) { given.Tenant = "beta"; given.Hash = run.HashOf(*given) },
		"env":    func(given *run.Script) { given.EnvHash = "other"; given.Hash = run.HashOf(*given) },
	} {
		given := s
		given.Hash = run.HashOf(s)
		change(&given)
		r := h.runGiven(t, s, Call{Script: &given}, Call{Script: hashed(s)})
		if err := NotTakenBy("runner", r.invocation(0)); ClassOf(err) != NotTaken || !strings.Contains(err.Error(), "WrongHash") || ClassOf(err).MayHaveExecuted() {
			t.Errorf("another %s: %v", name, err)
		}
		if err := NotTakenBy("runner", r.invocation(1)); err != nil || string(Read(r.invocation(1), s).Output) != "1" {
			t.Errorf("the script itself: %v, %+v", err, r)
		}
	}
}

// runGiven runs calls of the env runner of s.
func (h *harness) runGiven(t *testing.T, s run.Script, calls ...Call) ran {
	t.Helper()
	folder := t.TempDir()
	in, _ := run.RunnerOf(s, 60)
	for _, f := range append(sourceFiles(in), handlerFiles()...) {
		write(t, folder+"/"+f.name, string(f.body))
	}
	return h.run(t, folder, 60000, calls)
}

func TestACallThatIsForTheOtherKindOfFunctionIsNotExecuted(t *testing.T) {
	h := newestRunner(t)
	s := h.given("def main(input): return 1\n")
	if err := NotTakenBy("runner", h.runGiven(t, s, Call{}).invocation(0)); ClassOf(err) != NotTaken || !strings.Contains(err.Error(), "NoScript") {
		t.Errorf("a runner without a script says %v", err)
	}
	h.runner = false
	_, r := h.invoke(t, s, 10000, Call{Script: hashed(s)})
	if err := NotTakenBy("function", r.invocation(0)); ClassOf(err) != NotTaken || !strings.Contains(err.Error(), "NoRunner") {
		t.Errorf("a function with a script says %v", err)
	}
}

func TestACallThatIsTooLargeWithItsScriptIsNotMade(t *testing.T) {
	call := Call{Input: json.RawMessage(`"` + strings.Repeat("x", MaxPayloadBytes-1000) + `"`)}
	if _, err := call.Payload(); err != nil {
		t.Errorf("without the script: %v", err)
	}
	call.Script = &run.Script{Source: strings.Repeat("y", 2000)}
	if _, err := call.Payload(); ClassOf(err) != NotTaken || errors.As(err, new(*run.Error)) {
		t.Errorf("with the script: %v", err)
	}
}

// The build then answers for it, in the words that it has for this.
func TestAScriptThatDoesNotCompileIsNotTaken(t *testing.T) {
	h := newestRunner(t)
	for _, source := range []string{"def main(input:\n  pass\n", "x = " + strings.Repeat("(", 300) + strings.Repeat(")", 300) + "\n"} {
		s := h.given(source)
		if err := NotTakenBy("runner", h.runGiven(t, s, Call{Script: hashed(s)}).invocation(0)); ClassOf(err) != NotTaken || !strings.Contains(err.Error(), "DoesNotCompile") {
			t.Errorf("it says %v", err)
		}
	}
}

// Otherwise a script could have itself executed again without an account of it.
func TestNoScriptCanSayThatItWasNotTaken(t *testing.T) {
	h := newestRunner(t)
	for name, body := range map[string]string{
		"an answer":     "told = b'{\"not_taken\":{\"reason\":\"x\",\"message\":\"x\"},\"output\":1,\"error\":null,\"stdout\":\"\",\"stderr\":\"\",\"truncated\":false}'\n    say(b'A' + struct.pack('>Q', len(told)) + told)",
		"a beginning":   "say(b'S')",
		"a line of log": "say(b'\\nSCRIPTFLEET-NOT-TAKEN x x\\n')",
	} {
		s := h.given("import os, struct\ndef say(text):\n    for fd in range(1, 20):\n        try: os.write(fd, text)\n        except OSError: pass\ndef main(input):\n    " + body + "\n    os.abort()\n")
		r := h.runGiven(t, s, Call{Script: hashed(s)})
		if err := NotTakenBy("runner", r.invocation(0)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if o := Read(r.invocation(0), s); o.Status != run.Failed && o.Status != run.Succeeded {
			t.Errorf("%s: %+v\n%+v", name, o, r)
		}
	}
}

func BenchmarkEnvRunner(b *testing.B) {
	newest, _ := interpreters(b).Newest()
	p := Packager{Interpreters: interpreters(b)}
	runner, _ := run.RunnerOf(run.Script{Runtime: run.Runtime{Name: "python" + newest.Minor, Python: newest.Minor}}, 60)
	zip, err := p.Pack(b.Context(), runner)
	if err != nil {
		b.Fatal(err)
	}
	folder, tmp := b.TempDir(), b.TempDir()
	for name, body := range unzip(b, zip) {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755)
		write(b, filepath.Join(folder, name), body)
	}
	script, err := filepath.Abs("testdata/forks.py")
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(newest.Path, "-B", script, strconv.Itoa(b.N))
	cmd.Dir, cmd.Env, cmd.Stderr = folder, []string{"TMPDIR=" + tmp, "PATH=/usr/bin:/bin"}, os.Stderr
	b.ResetTimer()
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	var fastest [2]float64
	if err := json.Unmarshal(out, &fastest); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	b.ReportMetric(fastest[0], "ms-fork-and-clean-up")
	b.ReportMetric(fastest[1], "ms-run")
	figures.Record(b, "runner.fork", fastest[0])
}
