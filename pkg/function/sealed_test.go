package function

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// shows prints source lines in all ways that Python has, and raises.
const shows = `import inspect, linecache, logging, sys, threading, traceback, warnings
WORD = "word"

def deeper(n):
    return 1 / n  # SECRET

def main(input):
    if input.get("well"):
        return [__name__, __file__.rsplit("/")[-1], sys.modules["script"].main is main, len(str(range)), WORD]
    try:
        deeper(0)  # SECRET
    except ZeroDivisionError:
        traceback.print_exc()
        logging.exception("caught")
    warnings.warn("careful")  # SECRET
    thread = threading.Thread(target=deeper, args=(0,))  # SECRET
    thread.start()
    thread.join()
    linecache.clearcache()
    try:
        print(inspect.getsource(deeper))
    except OSError:
        print("no source")
    deeper(0)  # SECRET
`

func TestNothingShowsALineOfASealedScript(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, h *harness) {
		s := run.Script{Runtime: h.python(), Source: shows, Sealed: true}
		o, _ := h.invoke(t, s, 10000, Call{Input: json.RawMessage(`{"well":true}`)})
		if string(o.Output) != `["__main__", "script.py", true, 15, "word"]` && string(o.Output) != `["script", "script.py", true, 15, "word"]` {
			t.Errorf("the output is %s, %v", o.Output, o.Error)
		}
		o, _ = h.invoke(t, s, 10000, Call{Input: json.RawMessage(`{}`)})
		if o.Error == nil || o.Error.Type != "ZeroDivisionError" || !strings.Contains(o.Error.Traceback, `File "script.py", line 5, in deeper`) {
			t.Fatalf("the error is %+v", o.Error)
		}
		if n := strings.Count(o.Logs.Stderr, "ZeroDivisionError"); n < 3 || !strings.Contains(o.Logs.Stdout, "no source") {
			t.Errorf("the script did not come to its end: %+v", o.Logs)
		}
		if all, _ := json.Marshal(o); strings.Contains(string(all), "SECRET") {
			t.Errorf("a line is shown:\n%s\n%s\n%s", o.Error.Traceback, o.Logs.Stdout, o.Logs.Stderr)
		}
		s.Sealed = false
		if o, _ = h.invoke(t, s, 10000, Call{Input: json.RawMessage(`{}`)}); strings.Count(o.Logs.Stderr, "SECRET") < 5 || !strings.Contains(o.Error.Traceback, "SECRET") {
			t.Errorf("a script that is not sealed shows too little: %+v", o)
		}
		broken := run.Script{Runtime: h.python(), Source: "def main(input):\n    return SECRET SECRET\n", Sealed: true}
		if o, _ := h.invoke(t, broken, 10000, Call{}); o.Error == nil || o.Error.Type != "SyntaxError" || !strings.Contains(o.Error.Message, "line 2") || strings.Contains(o.Error.Message+o.Error.Traceback, "SECRET") {
			t.Errorf("the syntax error is %+v", o.Error)
		}
	})
}

// What a script that was ended had come to is told by a line of Go's.
func TestASealedScriptThatIsEndedIsNotQuoted(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	s := run.Script{Runtime: h.python(), Source: "import time\ndef main(input):\n    while True:\n        time.sleep(0.1)  # SECRET\n"}
	for _, s.Sealed = range []bool{false, true} {
		o, _ := h.invoke(t, s, 1000, Call{})
		all, _ := json.Marshal(o)
		if o.Status != run.TimedOut || !strings.Contains(o.Error.Message, "line 4") || strings.Contains(string(all), "SECRET") == s.Sealed {
			t.Errorf("sealed %t: %s", s.Sealed, all)
		}
	}
}

func TestASealedScriptIsCompiledWithoutBeingShown(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	p := Packager{Interpreters: interpreters(t)}
	s := run.Script{Runtime: run.Runtime{Python: newest.Minor}, Source: "def main(input):\n    return SECRET SECRET\n", Sealed: true}
	_, err := p.Pack(t.Context(), s)
	refused, ok := err.(*run.Error)
	if !ok || refused.Type != syntaxError || strings.Contains(refused.Message+refused.Traceback, "SECRET") {
		t.Errorf("packing says %v", err)
	}
}

func TestSealedCommandsThatTheShellCannotParseAreNotQuoted(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	for source, want := range map[string]run.Status{"echo SECRET (\n": run.Failed, "echo 1\n(exit 3) # SECRET\n": run.Failed, "SECRET=1 false\n": run.Failed, "echo 1\n": run.Succeeded} {
		o, _ := h.invoke(t, run.Script{Runtime: h.shell(), Source: source, Sealed: true}, 10000, Call{})
		if all, _ := json.Marshal(o); o.Status != want || strings.Contains(string(all), "SECRET") {
			t.Errorf("%s%s", source, all)
		}
	}
}
