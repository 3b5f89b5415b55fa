package function

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// harness runs handlers with one Python interpreter, each case in its own
// process.
type harness struct {
	minor    string
	pauseMS  int  // between the runs of a process
	importMS int  // that an import may take
	runner   bool // each script is given to an env runner
	mu       sync.Mutex
	stdin    io.WriteCloser
	answers  *bufio.Reader
}

// ran is the raw result of a case.
type ran struct {
	Payloads []string `json:"payloads"`
	Log      string   `json:"log"`
	Killed   bool     `json:"killed"`
	Exit     string   `json:"exit"`
	Seconds  float64  `json:"seconds"`
	folder   string
}

var findOnce = sync.OnceValues(func() (interpreter.Set, error) { return interpreter.Find(context.Background()) })

func interpreters(t testing.TB) interpreter.Set {
	t.Helper()
	set, err := findOnce()
	if err != nil || len(set) == 0 {
		t.Fatalf("no Python was found (%v): install Python 3.9 or later", err)
	}
	return set
}

// eachInterpreter runs a test in parallel with every installed Python.
func eachInterpreter(t *testing.T, test func(t *testing.T, h *harness)) {
	for minor, python := range interpreters(t) {
		t.Run("python"+minor, func(t *testing.T) {
			t.Parallel()
			test(t, startHarness(t, minor, python.Path))
		})
	}
}

func startHarness(t testing.TB, minor, path string) *harness {
	t.Helper()
	cmd := exec.Command(path, "testdata/harness.py")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	return &harness{minor: minor, importMS: 30000, stdin: stdin, answers: bufio.NewReaderSize(stdout, 1<<20)}
}

func (h *harness) python() run.Runtime {
	return run.Runtime{Name: "python" + h.minor, Lambda: "python" + h.minor, Python: h.minor}
}

func (h *harness) shell() run.Runtime {
	return run.Runtime{Name: "aws-cli", Lambda: "python" + h.minor, Python: h.minor, Shell: true}
}

// invoke writes the script and the handler into a folder and invokes them once
// for each call, all in one process. It returns the outcome of the last call.
func (h *harness) invoke(t *testing.T, s run.Script, timeoutMS int, calls ...Call) (Outcome, ran) {
	t.Helper()
	outcomes, r := h.invokeEach(t, s, timeoutMS, calls...)
	return outcomes[len(calls)-1], r
}

// invokeEach is invoke that returns the outcomes of all calls. Calls after the
// end of the process have the outcome of its end.
func (h *harness) invokeEach(t *testing.T, s run.Script, timeoutMS int, calls ...Call) ([]Outcome, ran) {
	t.Helper()
	return h.invokeWith(t, s, nil, timeoutMS, calls...)
}

// invokeWith is invokeEach with more files in the function's folder, such as
// those of requirements.
func (h *harness) invokeWith(t *testing.T, s run.Script, files map[string]string, timeoutMS int, calls ...Call) ([]Outcome, ran) {
	t.Helper()
	s.TimeoutSeconds, s.MemoryMB = cmp.Or(s.TimeoutSeconds, 10), 128
	folder, in := t.TempDir(), s
	if h.runner {
		in = h.runnerOf(t, s, calls)
		timeoutMS = 1000 * in.TimeoutSeconds
	}
	for name, text := range files {
		write(t, filepath.Join(folder, name), text)
	}
	for _, f := range append(sourceFiles(in), modules(handlerFiles(), in)...) {
		if err := os.WriteFile(filepath.Join(folder, f.name), f.body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := h.run(t, folder, timeoutMS, calls)
	r.folder = folder
	outcomes := make([]Outcome, len(calls))
	for n := range calls {
		outcomes[n] = Read(r.invocation(n), s)
	}
	return outcomes, r
}

func (h *harness) handler() string {
	module, _, _ := strings.Cut(Handler, ".")
	if h.runner {
		module, _, _ = strings.Cut(RunnerHandler, ".")
	}
	return module
}

func hashed(s run.Script) *run.Script {
	s.Hash = run.HashOf(s)
	return &s
}

// runnerOf is the script's env runner; each of the calls becomes one of it.
func (h *harness) runnerOf(t *testing.T, s run.Script, calls []Call) run.Script {
	t.Helper()
	in, ok := run.RunnerOf(s, 60)
	if !ok {
		t.Fatalf("the script has no env runner: %+v", s)
	}
	for n := range calls {
		calls[n].Script = hashed(s)
	}
	return in
}

func (h *harness) run(t *testing.T, folder string, timeoutMS int, calls []Call) ran {
	t.Helper()
	var events []json.RawMessage
	tmp := ""
	if h.runner {
		tmp = t.TempDir() // a runner empties it
	}
	for _, c := range calls {
		payload, err := c.Payload()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, payload)
	}
	line, _ := json.Marshal(map[string]any{"folder": folder, "events": events, "timeout_ms": timeoutMS, "pause_ms": h.pauseMS, "import_ms": h.importMS,
		"handler": h.handler(), "tmp": tmp})
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.stdin.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := h.answers.ReadBytes('\n')
	if err != nil {
		t.Fatalf("harness of Python %s: %v", h.minor, err)
	}
	var r ran
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// invocation is what Lambda would have answered to call n.
func (r ran) invocation(n int) Invocation {
	inv := Invocation{RequestID: fmt.Sprintf("request-%d", n), LogTail: r.Log}
	switch {
	case n < len(r.Payloads) && !strings.HasPrefix(r.Payloads[n], "broken: "):
		inv.Payload = []byte(r.Payloads[n])
	case r.Killed:
		inv.FunctionError = "Unhandled"
		inv.Payload = []byte(`{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 10.00 seconds"}`)
	default:
		inv.FunctionError = "Unhandled"
		inv.Payload = fmt.Appendf(nil, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: %s"}`,
			strings.Replace(r.Exit, "signal: 9", "signal: killed", 1))
	}
	return inv
}
