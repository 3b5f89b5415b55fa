package function

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// aCase is a script and the outcome that it must have.
type aCase struct {
	name   string
	script string
	input  string
	status run.Status
	kind   string // of the error
	says   string // what its message contains
	traced string // what its traceback contains
	output string // as compact JSON
	stdout string // what the log contains
	stderr string
}

var pythonCases = []aCase{
	{name: "returns every kind of JSON",
		script: "def main(input):\n    return {'b': 1, 'a': [1.5, 1e100, -0.0, 12345678901234567890, True, None, ()], 'é': '☃😀\\u0000\\u2028</a>', 1: 2}\n",
		output: `{"b":1,"a":[1.5,1e+100,-0.0,12345678901234567890,true,null,[]],"é":"☃😀\u0000` + "\u2028" + `</a>","1":2}`},
	{name: "returns nothing", script: "def main(input): pass\n", output: `null`},
	{name: "returns its input", script: "def main(input): return input\n", input: `{"z":[1,{"y":"x"}],"a":1}`, output: `{"z":[1,{"y":"x"}],"a":1}`},
	{name: "is a coroutine", script: "import asyncio\nasync def main(input):\n    await asyncio.sleep(0)\n    return 1\n", output: `1`},
	{name: "knows its name and its file",
		script: "import os\ndef main(input): return [__name__, os.path.basename(__file__)]\n", output: `["script","script.py"]`},
	{name: "returns a named tuple as an array",
		script: "import collections\nP = collections.namedtuple('P', 'x y')\ndef main(input): return P(1, 2)\n", output: `[1,2]`},

	{name: "has no main", script: "x = 1\n", status: run.Failed, kind: "MissingMain", says: "main(input)"},
	{name: "has a main that is no function", script: "main = 3\n", status: run.Failed, kind: "MainNotCallable", says: "an int"},
	{name: "has a main without parameters", script: "def main(): pass\n", status: run.Failed, kind: "MainTakesOtherArguments", says: "0 positional"},
	{name: "has a main with two parameters", script: "def main(a, b): pass\n", status: run.Failed, kind: "MainTakesOtherArguments", says: "'b'"},
	{name: "has a syntax error", script: "def main(input:\n  pass\n", status: run.Failed, kind: "SyntaxError", says: "script.py, line ", traced: "script.py"},
	{name: "is indented wrongly", script: "def main(input):\n    x = 1\n  y = 2\n", status: run.Failed, kind: "SyntaxError", says: "IndentationError"},
	{name: "imports what is not there", script: "import requests_of_nobody\ndef main(input): pass\n",
		status: run.Failed, kind: "ModuleNotFoundError", says: "requirements", traced: `File "script.py", line 1, in <module>`},
	{name: "raises on import", script: "print('so far')\nx = {}['k']\n", status: run.Failed, kind: "KeyError", says: "line 2", stdout: "so far"},
	{name: "exits on import", script: "import sys\nsys.exit(3)\n", status: run.Failed, kind: "SystemExit", says: "exit(3)"},
	{name: "raises", script: "def inner(d):\n    return d['url']\ndef main(input):\n    print('before')\n    return inner(input)\n",
		status: run.Failed, kind: "KeyError", says: "main raised KeyError: 'url' (script.py, line 2)", traced: `File "script.py", line 5, in main`, stdout: "before\n"},
	{name: "raises from another error",
		script: "def main(input):\n    try:\n        1/0\n    except ZeroDivisionError as e:\n        raise RuntimeError('no') from e\n",
		status: run.Failed, kind: "RuntimeError", says: "no", traced: "ZeroDivisionError"},
	{name: "raises what cannot be shown",
		script: "class E(Exception):\n    def __str__(self): raise SystemExit(1)\ndef main(input): raise E()\n",
		status: run.Failed, kind: "E", says: "cannot be shown"},
	{name: "raises half a surrogate pair", script: "def main(input): raise ValueError('\\ud800')\n", status: run.Failed, kind: "ValueError", says: `\ud800`},
	{name: "raises an enormous message", script: "def main(input): raise ValueError('x' * 10000000)\n", status: run.Failed, kind: "ValueError", says: "…"},
	{name: "raises in endless recursion", script: "def main(input): return main(input)\n", status: run.Failed, kind: "RecursionError", traced: "script.py"},
	{name: "raises KeyboardInterrupt", script: "def main(input): raise KeyboardInterrupt\n", status: run.Failed, kind: "KeyboardInterrupt"},
	{name: "raises a TypeError of its own", script: "def main(input): return 1 + ''\n", status: run.Failed, kind: "TypeError", traced: "in main"},
	{name: "exits", script: "import sys\ndef main(input): sys.exit()\n", status: run.Failed, kind: "SystemExit", says: "return from main"},
	{name: "exits with 0", script: "def main(input): exit(0)\n", status: run.Failed, kind: "SystemExit", says: "exit(0)"},
	{name: "ends its process", script: "import os\ndef main(input):\n    print('last')\n    os._exit(3)\n",
		status: run.Failed, kind: "ExitError", says: "exit status 3", stdout: "last", traced: "line 4, in main"},
	{name: "crashes its process", script: "import ctypes\ndef main(input):\n    ctypes.string_at(0)\n",
		status: run.Failed, kind: "ExitError", says: "signal: 11", traced: "line 3, in main"},

	{name: "returns a set", script: "def main(input): return {'rows': [0, 1, 2, {3}]}\n", status: run.Failed, kind: "OutputNotJSON", says: "output['rows'][3] is a set"},
	{name: "returns NaN", script: "def main(input): return [float('nan')]\n", status: run.Failed, kind: "OutputNotJSON", says: "output[0] is nan"},
	{name: "returns infinity", script: "def main(input): return {'x': -1e999}\n", status: run.Failed, kind: "OutputNotJSON", says: "output['x'] is -inf"},
	{name: "returns bytes", script: "def main(input): return b'x'\n", status: run.Failed, kind: "OutputNotJSON", says: "output is a bytes"},
	{name: "returns a time", script: "import datetime\ndef main(input): return {'at': datetime.datetime.now()}\n", status: run.Failed, kind: "OutputNotJSON", says: "output['at'] is a datetime"},
	{name: "returns itself in itself", script: "def main(input):\n    x = []\n    x.append({'x': x})\n    return x\n", status: run.Failed, kind: "OutputNotJSON", says: "contains itself"},
	{name: "returns a tuple as a key", script: "def main(input): return {(1, 2): 3}\n", status: run.Failed, kind: "OutputNotJSON", says: "a tuple as a key"},
	{name: "returns half a surrogate pair", script: "def main(input): return ['ok', '\\ud800']\n", status: run.Failed, kind: "OutputNotJSON", says: "output[1] holds half"},
	{name: "returns a generator", script: "def main(input): yield 1\n", status: run.Failed, kind: "OutputNotJSON", says: "a generator"},
	{name: "returns what nests too deeply", script: "def main(input):\n    x = []\n    for _ in range(200000): x = [x]\n    return x\n", status: run.Failed, kind: "OutputNotJSON", says: "nested"},
	{name: "returns 7 MB", script: "def main(input): return 'x' * 7000000\n", status: run.Failed, kind: "OutputTooLarge", says: "7000002"},

	{name: "takes all memory",
		script: "import resource\ndef main(input):\n    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\n    x = []\n    while True: x.append(bytearray(1 << 20))\n",
		status: run.OutOfMemory, kind: "MemoryError", says: "128 MB"},
	{name: "is killed for its memory", script: "import ctypes, os\ndef main(input): ctypes.CDLL(None).kill(os.getpid(), 9)\n",
		status: run.OutOfMemory, kind: "MemoryError"},

	{name: "prints 10 MB", script: "def main(input):\n    for i in range(100000): print('x' * 99)\n    return 1\n", output: `1`, stdout: "xxx"},
	{name: "prints 10 MB in one go", script: "import sys\ndef main(input):\n    sys.stderr.write('y' * 10000000)\n    return 1\n", output: `1`, stderr: "yyy"},
	{name: "has a child print 10 MB", script: "import os\ndef main(input):\n    os.system('yes | head -c 10000000')\n    return 1\n", output: `1`, stdout: "y\ny\n"},
	{name: "prints from everywhere in order",
		script: "import os, sys, subprocess\ndef main(input):\n    print('a')\n    subprocess.call(['echo', 'b'])\n    os.write(1, b'c\\n')\n    sys.__stdout__.write('d\\n')\n    sys.__stdout__.flush()\n    print('e', end='')\n",
		output: `null`, stdout: "a\nb\nc\nd\ne"},
	{name: "logs", script: "import logging\nlogging.warning('careful')\ndef main(input): logging.error('%s', 'oops')\n", output: `null`, stderr: "oops"},
	{name: "prints no text", script: "import os\ndef main(input):\n    os.write(1, b'\\xff\\xfe')\n    print('\\ud800')\n", output: `null`, stdout: "\ufffd\ufffd\\ud800"},
	{name: "closes its output", script: "import sys, os\ndef main(input):\n    sys.stdout.close()\n    os.close(2)\n    return 1\n", output: `1`},
	{name: "forks and lets the child come back", script: "import os\ndef main(input):\n    pid = os.fork()\n    if pid: os.waitpid(pid, 0)\n    print(pid > 0)\n    return pid > 0\n",
		output: `true`, stdout: "False\nTrue\n"},
	{name: "leaves a child in the background", script: "import os\ndef main(input):\n    os.system('sleep 100 &')\n    return 1\n", output: `1`},
}

// slowCases run until their timeout and keep a processor busy.
var slowCases = []aCase{
	{name: "sleeps", script: "import time\ndef main(input):\n    print('going to sleep')\n    time.sleep(100)\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line 4: time.sleep(100)", traced: "time.sleep(100)", stdout: "going to sleep"},
	{name: "loops and swallows exceptions",
		script: "def main(input):\n    print('looping')\n    while True:\n        try:\n            input.get('x')\n        except BaseException:\n            pass\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line", stdout: "looping"},
	{name: "loops where Python looks for no signal", script: "def main(input):\n    while True:\n        try:\n            pass\n        except BaseException:\n            pass\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line"},
	{name: "ignores every signal",
		script: "import signal, time\nfor s in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\ndef main(input):\n    for s in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\n    time.sleep(100)\n",
		status: run.TimedOut, kind: "Timeout", says: "line 5"},
	{name: "loops in a regular expression",
		script: "import re\ndef main(input):\n    print('matching')\n    re.match(r'(a+)+$', 'a' * 60 + 'b')\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line 4: re.match", stdout: "matching"},
	{name: "loops in C", script: "import collections, itertools\ndef main(input):\n    collections.deque(itertools.repeat(0), maxlen=0)\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line 3: collections.deque"},
	{name: "sleeps far below", script: "import time\nexec('def f(n):\\n    return f(n - 1) if n else time.sleep(100)')\ndef main(input):\n    f(100)\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line 4: f(100)"},
	{name: "returns what never ends", script: "class L(list):\n    def __iter__(self):\n        while True: pass\ndef main(input): return L()\n",
		status: run.TimedOut, kind: "Timeout", says: "script.py, line 3"},
	{name: "waits for a child", script: "import os\ndef main(input):\n    os.system('echo from a child; sleep 100')\n",
		status: run.TimedOut, kind: "Timeout", says: "line 3", stdout: "from a child"},
}

func TestWhatBecomesOfScripts(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, h *harness) {
		for _, c := range pythonCases {
			t.Run(c.name, func(t *testing.T) { c.check(t, h, h.python()) })
		}
	})
}

// Every known way for a script to hang, with the oldest and the newest Python:
// which signals and flags a looping interpreter checks differs between them.
func TestWhereScriptsStoodWhenTheirTimeWasUp(t *testing.T) {
	set := interpreters(t)
	minors := set.Minors()
	for _, minor := range slices.Compact([]string{minors[0], minors[len(minors)-1]}) {
		for i := range slowCases {
			c := slowCases[i]
			t.Run("python"+minor+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				h := startHarness(t, minor, set[minor].Path)
				c.check(t, h, h.python())
			})
		}
	}
}

func (c aCase) check(t *testing.T, h *harness, runtime run.Runtime) {
	s, call := run.Script{Source: c.script, Runtime: runtime}, Call{Input: json.RawMessage(c.input)}
	if c.status == run.TimedOut {
		c.checkTimeout(t, h, s, call)
		return
	}
	o, r := h.invoke(t, s, 20000, call)
	c.judge(t, o, r)
}

// checkTimeout gives a script a second to come to where it is to stand, and more
// only if it has not come there: on a busy machine.
func (c aCase) checkTimeout(t *testing.T, h *harness, s run.Script, call Call) {
	var o Outcome
	var r ran
	for _, seconds := range []int{1, 3, 9} {
		if h.runner {
			s.TimeoutSeconds = seconds
		}
		if o, r = h.invoke(t, s, 1000*seconds, call); c.stood(o) {
			break
		}
	}
	c.judge(t, o, r)
}

// stood tells whether the script was in its place when its time was up.
func (c aCase) stood(o Outcome) bool {
	return o.Error != nil && strings.Contains(o.Error.Message, c.says) && strings.Contains(o.Error.Traceback, c.traced) && strings.Contains(o.Logs.Stdout, c.stdout)
}

func (c aCase) judge(t *testing.T, o Outcome, r ran) {
	if c.status == "" {
		c.status = run.Succeeded
	}
	if o.Status != c.status {
		t.Fatalf("status %s, want %s\nerror %+v\n%+.2000v", o.Status, c.status, o.Error, r)
	}
	if c.output == "" {
		c.output = "null"
	}
	if got := compact(t, o.Output); got != c.output {
		t.Errorf("output %.300s, want %s", got, c.output)
	}
	holds(t, "stdout", o.Logs.Stdout, c.stdout)
	holds(t, "stderr", o.Logs.Stderr, c.stderr)
	if (o.Error != nil) != (c.kind != "") {
		t.Fatalf("error %+v, want type %q", o.Error, c.kind)
	}
	if o.Error != nil {
		c.checkError(t, o.Error)
	}
}

func (c aCase) checkError(t *testing.T, e *run.Error) {
	if e.Type != c.kind || e.Owner != run.OwnerAuthor {
		t.Errorf("error %+v, want type %s of the author's", e, c.kind)
	}
	holds(t, "message", e.Message, c.says)
	holds(t, "traceback", e.Traceback, c.traced)
	for _, foreign := range []string{handlerFile, "importlib", "harness"} {
		if strings.Contains(e.Traceback, foreign) {
			t.Errorf("the traceback shows %s, which is not the author's:\n%s", foreign, e.Traceback)
		}
	}
	if len(e.Traceback) > 17<<10 || len(e.Message) > 5<<10 {
		t.Errorf("an error of %d and %d bytes", len(e.Message), len(e.Traceback))
	}
}

func holds(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s %.1000q does not contain %q", what, text, part)
	}
}

// compact removes white space and undoes Python's ASCII escapes, because the
// runtime chooses which characters it escapes.
func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatalf("output %.200s: %v", raw, err)
	}
	return strings.NewReplacer(`\u00e9`, "é", `\u2603`, "☃", `\ud83d\ude00`, "😀", `\u2028`, "\u2028").Replace(b.String())
}
