package function

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// hostile is a script that changes Python itself, at import or in its first
// run. The second run in the same process prints a word and returns.
type hostile struct {
	name    string
	module  string // at module level
	body    string // in main, of the first run
	second  string // in main, of the second run
	pauseMS int    // between the two
	status  run.Status
	kind    string // of the first run's error
	says    string // what the error's message holds
	output  string // of the first run
	stdout  string // exactly
	stderr  string // exactly, unless it is "*"
}

// waits gives what the first run left running 150 ms to interfere.
const waits = "import select; select.select([], [], [], 0.15)"

func (c hostile) script() string {
	body := c.body
	if body == "" {
		body = "print('first')\nreturn 1"
	}
	second := "pass"
	if c.second != "" {
		second = c.second
	}
	return c.module + "\ndef main(input):\n    if input.get('plain'):\n        " + second + "; print('second')\n        return 'plain'\n    " +
		strings.ReplaceAll(body, "\n", "\n    ") + "\n"
}

// Every known way for a script to break what the handler relies on. In no case
// may the result be a platform_error, output be lost or mixed up, or the next
// run be spoilt.
func TestNoScriptBreaksItsRunOrTheNextByWhatItDoesToPython(t *testing.T) {
	set := interpreters(t)
	minors := set.Minors()
	for _, minor := range slices.Compact([]string{minors[0], minors[len(minors)/2], minors[len(minors)-1]}) {
		t.Run("python"+minor, func(t *testing.T) {
			t.Parallel()
			h := startHarness(t, minor, set[minor].Path)
			for _, c := range slices.Concat(hostileStreams, hostilePatches, hostileValues) {
				t.Run(c.name, func(t *testing.T) { c.check(t, h) })
			}
		})
	}
}

func (c hostile) check(t *testing.T, h *harness) {
	h.pauseMS = c.pauseMS
	outcomes, r := h.invokeEach(t, run.Script{Source: c.script(), Runtime: h.python()}, 10000, Call{}, plainly)
	c.judge(t, outcomes[0], outcomes[1], "second\n", r)
	for _, line := range []string{"runtime after import\n", "runtime after run 0\n", "runtime after run 1\n"} {
		holds(t, "what the runtime wrote to its own descriptor", r.Log, line)
	}
}

// plainly is the call of the second run.
var plainly = Call{Input: json.RawMessage(`{"plain":true}`)}

// judge compares what became of both runs with what should; printed is what the
// second one prints.
func (c hostile) judge(t *testing.T, first, second Outcome, printed string, r ran) {
	if c.status == "" {
		c.status = run.Succeeded
		if c.output == "" {
			c.output = "1"
		}
		if c.body == "" {
			c.stdout += "first\n"
		}
	}
	if first.Status != c.status {
		t.Fatalf("status %s, want %s\nerror %+v\n%+.3000v", first.Status, c.status, first.Error, r)
	}
	if first.Error == nil && compact(t, first.Output) != c.output {
		t.Errorf("output %s, want %s", first.Output, c.output)
	}
	if first.Logs.Stdout != c.stdout || c.stderr != "*" && first.Logs.Stderr != c.stderr {
		t.Errorf("stdout %.500q, want %q; stderr %.500q, want %q", first.Logs.Stdout, c.stdout, first.Logs.Stderr, c.stderr)
	}
	if e := first.Error; e != nil {
		if e.Type != c.kind || e.Owner != run.OwnerAuthor {
			t.Errorf("error %+v, want type %s of the author's", e, c.kind)
		}
		holds(t, "message", e.Message, c.says)
	}
	if second.Status != run.Succeeded || string(second.Output) != `"plain"` || second.Logs.Stdout != printed || second.Logs.Stderr != "" {
		t.Errorf("the second run: %s %s, stdout %.500q, stderr %.500q, error %+v\n%+.3000v", second.Status, second.Output, second.Logs.Stdout, second.Logs.Stderr, second.Error, r)
	}
}

var hostileStreams = []hostile{
	{name: "wraps detached stdout at module level", module: "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')\nprint('import')", stdout: "import\n"},
	{name: "wraps stdout's buffer at module level", module: "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('import')", stdout: "import\n"},
	{name: "wraps detached stdout in a codec in main", body: "import codecs, sys\nsys.stdout = codecs.getwriter('utf-8')(sys.stdout.detach())\nprint('é')\nreturn 1", stdout: "é\n"},
	{name: "wraps stdout's buffer in main", body: "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8', errors='replace')\nprint('x')\nreturn 1", stdout: "x\n"},
	{name: "wraps both streams in main", body: "import io, sys\nfor n in ('stdout', 'stderr'):\n    setattr(sys, n, io.TextIOWrapper(getattr(sys, n).detach(), encoding='utf-8', line_buffering=True))\nprint('x')\nprint('y', file=sys.stderr)\nreturn 1", stdout: "x\n", stderr: "y\n"},
	{name: "opens descriptor 1 again at module level", module: "import os, sys\nsys.stdout = os.fdopen(sys.stdout.fileno(), 'w', 1)\nprint('import')", stdout: "import\n"},
	{name: "opens descriptor 1 again in main", body: "import os, sys\nsys.stdout = os.fdopen(1, 'w', 1)\nprint('x')\nreturn 1", stdout: "x\n"},
	{name: "opens descriptor 1 again in a circle", body: "import os, sys\nclass C: pass\nc = C(); c.c = c; c.f = os.fdopen(1, 'w', 1)\nprint('x')\nreturn 1", stdout: "x\n"},
	{name: "drops a wrapper of descriptor 1", body: "import os\nprint('x', end='', flush=True)\nos.fdopen(1, 'w').write('y')\nreturn 1", stdout: "xy"},
	{name: "leaves text in a buffer", body: "import sys\nsys.stdout.write('x')\nsys.stdout.flush()\nsys.__stdout__.write('y')\nreturn 1", stdout: "xy"},
	{name: "leaves text in a buffer over a closed descriptor", body: "import os, sys\nsys.stdout.write('x')\nos.close(1)\nreturn 1", stdout: "x"},
	{name: "leaves text in a wrapper's buffer", body: "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.detach(), write_through=False)\nsys.stdout.write('x')\nreturn 1", stdout: "x"},
	{name: "closes stdout", body: "import sys\nprint('x')\nsys.stdout.close()\nreturn 1", stdout: "x\n"},
	{name: "closes stdout and prints", body: "import sys\nsys.stdout.close()\nprint('x')", status: run.Failed, kind: "ValueError", says: "closed file (script.py, line 8)"},
	{name: "closes Python's own stdout", body: "import sys\nsys.__stdout__.close()\nsys.__stderr__.close()\nprint('x')\nreturn 1", stdout: "x\n"},
	{name: "closes all three streams", body: "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): s.close()\nreturn 1"},
	{name: "closes all three descriptors", body: "import os\nfor fd in range(3): os.close(fd)\nreturn 1"},
	{name: "closes all three descriptors at module level", module: "import os\nfor fd in range(3): os.close(fd)"},
	{name: "puts a file in the place of descriptor 1", body: "import os\nos.close(1)\nf = open('/tmp/scriptfleet-hostile', 'w')\nreturn f.fileno()", output: "1"},
	{name: "points descriptor 1 elsewhere", body: "import os\nprint('x')\nos.dup2(os.open('/dev/null', os.O_WRONLY), 1)\nprint('y')\nreturn 1", stdout: "x\n"},
	{name: "swaps the descriptors", body: "import os\nos.dup2(2, 1)\nprint('x')\nreturn 1", stderr: "x\n"},
	{name: "sets stdout to nothing", body: "import sys\nprint('x')\nsys.stdout = sys.stderr = sys.stdin = None\nprint('y')\nreturn 1", stdout: "x\n"},
	{name: "deletes stdout", body: "import sys\nprint('x')\ndel sys.stdout, sys.stderr, sys.stdin\nreturn 1", stdout: "x\n"},
	{name: "deletes stdout at module level", module: "import sys\nprint('x')\ndel sys.stdout", stdout: "x\n"},
	{name: "has a stream of its own at module level", module: "import sys\nclass Tee:\n    def __init__(self, to): self.to = to\n    def write(self, text): return self.to.write(text)\n    def flush(self): self.to.flush()\nsys.stdout = Tee(sys.stdout)"},
	{name: "has a stream that raises", body: "import sys\nclass Bad:\n    closed = property(lambda self: 1/0)\n    def write(self, text): raise SystemExit\n    def flush(self): raise KeyboardInterrupt\nprint('x')\nsys.stdout = sys.stderr = Bad()\nreturn 1", stdout: "x\n"},
	{name: "redirects into memory and stays there", body: "import io, sys\nprint('x')\nsys.stdout = io.StringIO()\nprint('y')\nreturn 1", stdout: "x\n"},
	{name: "reads its input", body: "import sys\ntry: input_ = sys.stdin.read(); sys.stdin.detach()\nexcept OSError: pass\nreturn 1"},
	{name: "configures stdout", body: "import sys\nsys.stdout.reconfigure(encoding='latin-1', line_buffering=False)\nprint('\u00e9')\nreturn 1", stdout: "\ufffd\n"},
	{name: "logs to stdout through every handler", module: "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')", body: "logging.getLogger().handlers.append(logging.StreamHandler(sys.stderr))\nlogging.warning('x')\nlogging.shutdown()\nlogging.getLogger().handlers.clear()\nreturn 1", stdout: "x\n", stderr: "x\n"},
	{name: "replaces print", module: "import builtins\nold = builtins.print", body: "builtins.print = lambda *a, **k: old('mine', *a)\nprint('x')\nbuiltins.print = old\nreturn 1", stdout: "mine x\n"},
	{name: "leaves a thread that prints", body: "import threading, time\nevent = threading.Event()\ndef later():\n    event.wait()\n    print('late')\nthreading.Thread(target=later, daemon=True).start()\nglobal go\ngo = event\nprint('x')\nreturn 1", stdout: "x\n"},
	{name: "leaves a child that prints", body: "import subprocess\nsubprocess.Popen(['sh', '-c', 'while sleep 0.1; do echo late; done'])\nprint('x')\nreturn 1", second: waits, stdout: "x\n"},
	{name: "leaves a fork that prints", body: "import os, time\nif os.fork() == 0:\n    time.sleep(0.1)\n    for _ in range(100): print('late', flush=True); time.sleep(0.01)\n    os._exit(0)\nprint('x')\nreturn 1", second: waits, stdout: "x\n"},
	{name: "comes back from a fork at module level", module: "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)"},
	{name: "forks without a pid to wait for", body: "import os\nos.fork()\nreturn 1"},
}

var hostilePatches = []hostile{
	{name: "stops time.time", body: "import time\ntime.time = lambda: 4102444800.0\nprint('x')\nreturn 1", stdout: "x\n", second: "import time; assert time.time() < 4e9"},
	{name: "stops every clock at module level", module: "import time\nfor name in ('time', 'monotonic', 'perf_counter', 'time_ns', 'clock_gettime', 'sleep'): setattr(time, name, lambda *a: 0)"},
	{name: "freezes every reference to a clock", module: "import sys, time\nold = {id(getattr(time, n)): n for n in ('time', 'monotonic', 'perf_counter')}\nfor m in list(sys.modules.values()):\n    for n, v in list(vars(m).items()):\n        if id(v) in old: setattr(m, n, lambda: 1.5)"},
	{name: "sets the time zone", body: "import os, time\nos.environ['TZ'] = 'Asia/Tokyo'\ntime.tzset()\nreturn time.timezone", output: "-32400", second: "import os, time; assert time.timezone != -32400 and time.localtime().tm_zone != 'JST' and 'TZ' not in os.environ"},
	{name: "breaks json", body: "import json\njson.dumps = json.loads = None\njson.JSONEncoder.default = lambda self, o: 'x'\njson.JSONEncoder.iterencode = json.JSONDecoder.decode = None\njson.encoder.c_make_encoder = json.scanner.c_make_scanner = None\njson.encoder.encode_basestring = None\nreturn 1.5", output: "1.5"},
	{name: "teaches json another type", module: "import json\njson.JSONEncoder.default = lambda self, o: 'x'", body: "return {1}", status: run.Failed, kind: "OutputNotJSON", says: "output is a set: list() it"},
	{name: "breaks os", body: "import os\nfor name in ('write', 'read', 'dup2', 'dup', 'pipe', 'close', 'getpid', 'getcwd', 'chdir', 'fstat', '_exit', 'readv', 'open', 'umask'): setattr(os, name, None)\nos.environ = {}\nos.path = None\nreturn 1"},
	{name: "breaks sys", body: "import sys\nsys.path = sys.argv = sys.exc_info = sys._current_frames = sys.getrecursionlimit = sys.settrace = None\nsys.excepthook = sys.unraisablehook = sys.displayhook = None\nreturn 1"},
	{name: "breaks builtins", body: "import builtins\nnames = ('len', 'isinstance', 'getattr', 'setattr', 'hasattr', 'type', 'bytes', 'bytearray', 'dict', 'list', 'id', 'range', 'max', 'min', 'open', 'callable', 'BaseException', 'Exception', 'OSError', 'TypeError', 'repr', '__import__', 'round', 'sorted', 'enumerate', 'zip', 'tuple', 'map', 'any', 'vars')\nvars(builtins).update(dict.fromkeys(names))\nreturn 1"},
	{name: "breaks builtins and raises", body: "import builtins\nbuiltins.str = builtins.repr = builtins.len = builtins.isinstance = None\nraise ValueError('x')", status: run.Failed, kind: "ValueError", says: "main raised ValueError: x (script.py, line 8)"},
	{name: "breaks signal", body: "import signal\nsignal.signal = signal.getsignal = signal.setitimer = signal.set_wakeup_fd = None\nreturn 1"},
	{name: "breaks threading", body: "import _thread, threading\nthreading.Thread = threading.Lock = _thread.start_new_thread = _thread.allocate_lock = _thread.get_ident = None\nreturn 1"},
	{name: "breaks select and faulthandler", body: "import faulthandler, select\nselect.poll = select.POLLIN = None\nfaulthandler.dump_traceback_later = faulthandler.cancel_dump_traceback_later = None\nreturn 1"},
	{name: "breaks io and codecs", body: "import codecs, io\nio.open = io.TextIOWrapper = io.StringIO = codecs.lookup = codecs.getwriter = None\nreturn 1"},
	{name: "breaks traceback and raises", body: "import linecache, traceback\ntraceback.TracebackException = linecache.getline = linecache.checkcache = None\nraise ValueError('x')", status: run.Failed, kind: "ValueError", says: "line 8"},
	{name: "breaks traceback's answer and raises", body: "import traceback\ntraceback.TracebackException.format = lambda self, **k: iter([3])\nraise ValueError('x')", status: run.Failed, kind: "ValueError", says: "line 8"},
	{name: "leaves an alarm that raises", body: "import signal\ndef ring(*a): raise TimeoutError\nsignal.signal(signal.SIGALRM, ring)\nsignal.setitimer(signal.ITIMER_REAL, 0.1, 0.001)\nreturn 1", second: waits},
	{name: "uses its alarm", module: "import signal\ndef ring(*a): raise TimeoutError('mine')\nsignal.signal(signal.SIGALRM, ring)", body: "signal.setitimer(signal.ITIMER_REAL, 0.05)\nwhile True: pass", status: run.Failed, kind: "TimeoutError", says: "mine"},
	{name: "leaves every signal with a handler that raises", body: "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, lambda *a: 1/0)\n    except (OSError, ValueError): pass\nreturn 1"},
	{name: "leaves a thread that interrupts", body: "import _thread, threading, time\ndef nag():\n    time.sleep(0.1)\n    for _ in range(10): time.sleep(0.001); _thread.interrupt_main()\nthreading.Thread(target=nag, daemon=True).start()\nreturn 1", pauseMS: 300},
	{name: "leaves a trace function that raises", body: "import sys, threading\ndef trace(*a): raise RuntimeError('traced')\nsys.settrace(trace)\nsys.setprofile(lambda *a: None)\nreturn 1"},
	{name: "lowers the limit of recursion", body: "import sys\nsys.setrecursionlimit(60)\nreturn [[[[[1]]]]]", output: "[[[[[1]]]]]"},
	{name: "slows the switching of threads", body: "import sys\nsys.setswitchinterval(1000)\nprint('x' * 200000)\nreturn 1", stdout: strings.Repeat("x", 64<<10)},
	{name: "replaces the hooks", body: "import sys, threading\nsys.excepthook = sys.unraisablehook = threading.excepthook = lambda *a: 1/0\nclass D:\n    def __del__(self): 1/0\nD()\nraise ValueError('x')", status: run.Failed, kind: "ValueError", says: "x (script.py, line 11)", stderr: "*"},
	{name: "empties sys.modules", body: "import sys\nsys.modules.clear()\nreturn 1"},
	{name: "empties sys.modules and raises", body: "import sys\nsys.modules.clear()\nraise ValueError('x')", status: run.Failed, kind: "ValueError", says: "line 8"},
	{name: "breaks the import", body: "import sys\nsys.meta_path[:] = []\nsys.path[:] = []\nsys.path_hooks[:] = []\nraise ValueError('x')", status: run.Failed, kind: "ValueError", says: "line 10"},
	{name: "registers at exit", body: "import atexit\natexit.register(print, 'late')\nreturn 1"},
	{name: "turns the collector off", body: "import gc\ngc.disable()\ngc.collect = None\nx = []; x.append(x)\nreturn 1"},
	{name: "changes its environment", body: "import os\nos.environ.clear()\nos.environ['HOME'] = '/x'\nos.putenv('TZ', 'Asia/Tokyo')\nos.chdir('/')\nos.umask(0o777)\nreturn 1", second: "import os; assert (os.environ['HOME'], os.getcwd(), 'PATH' in os.environ) == ('/tmp', '/tmp', True) and os.umask(18) != 0o777"},
	{name: "replaces os.environ", body: "import os\nos.environ = {'HOME': '/x'}\nreturn 1", second: "import os; assert os.environ['HOME'] == '/tmp' and 'PATH' in os.environ"},
	{name: "takes every descriptor", body: "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (32, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\nfiles = []\ntry:\n    while True: files.append(open('/dev/null'))\nexcept OSError: pass\nreturn 1"},
	{name: "audits everything", body: "import sys\ncalls = []\nsys.addaudithook(lambda *a: calls.append(a[0]))\nreturn 1"},
}

var hostileValues = []hostile{
	{name: "returns keys that fall together", body: "return {1: 'int', '1': 'str', True: 'b'}", status: run.Failed, kind: "OutputNotJSON", says: "output has the keys 1 and '1', which are one in JSON"},
	{name: "returns keys that fall together within", body: "return {'rows': [{}, {None: 1, 'null': 2}]}", status: run.Failed, kind: "OutputNotJSON", says: "output['rows'][1] has the keys None and 'null'"},
	{name: "returns True and 'true' as keys", body: "return {True: 1, 'true': 2}", status: run.Failed, kind: "OutputNotJSON", says: "keys True and 'true'"},
	{name: "returns an int of too many digits", body: "return [1, 10**6000, 3]", status: run.Failed, kind: "OutputNotJSON", says: "output[1] is an int of too many digits: str() it"},
	{name: "returns a Decimal", body: "import decimal\nreturn {'a': [decimal.Decimal('1.5')]}", status: run.Failed, kind: "OutputNotJSON", says: "output['a'][0] is a Decimal: str() or float() it"},
	{name: "returns NaN as a key", body: "return {float('nan'): 1}", status: run.Failed, kind: "OutputNotJSON", says: "a float as a key"},
	{name: "returns a surrogate as a key", body: "return {'\\ud800': 1}", status: run.Failed, kind: "OutputNotJSON", says: "output has a key that holds half"},
	{name: "returns bytes as a key", body: "return {b'x': 1}", status: run.Failed, kind: "OutputNotJSON", says: "a bytes as a key"},
	{name: "returns a mapping that raises", body: "class M(dict):\n    def items(self): raise KeyError('mine')\nm = M(); m['x'] = 1\nreturn m", status: run.Failed, kind: "OutputNotJSON", says: "mine"},
	{name: "returns a mapping that exits", body: "class M(dict):\n    def items(self): raise SystemExit(3)\nm = M(); m['x'] = 1\nreturn m", status: run.Failed, kind: "OutputNotJSON", says: "SystemExit"},
	{name: "returns a mapping that tells other items", body: "class M(dict):\n    def items(self): return [('a', 1), ('a', 2)]\nm = M(); m['x'] = 1\nreturn m", status: run.Failed, kind: "OutputNotJSON", says: "read back"},
	{name: "returns a list that tells other values", body: "class L(list):\n    def __iter__(self): return iter([{1}])\nreturn L([2])", status: run.Failed, kind: "OutputNotJSON", says: "a set, not JSON"},
	{name: "returns a value with another class", body: "class V:\n    __class__ = property(lambda self: 1/0)\n    def __repr__(self): raise SystemExit\nreturn [V()]", status: run.Failed, kind: "OutputNotJSON", says: "output[0] is a V"},
	{name: "returns a value that calls itself a dict", body: "class V:\n    __class__ = dict\nreturn V()", status: run.Failed, kind: "OutputNotJSON", says: "output is a V"},
	{name: "returns a class with a name that raises", body: "class M(type):\n    __name__ = property(lambda self: 1/0)\nclass V(metaclass=M): pass\nreturn V()", status: run.Failed, kind: "OutputNotJSON", says: "output is a V"},
	{name: "returns text with methods of its own", body: "class S(str):\n    def encode(self, *a): raise SystemExit\n    def __str__(self): return 3\nreturn [S('x')]", output: `["x"]`},
	{name: "returns a coroutine of its own", body: "class coroutine: pass\nreturn coroutine()", status: run.Failed, kind: "OutputNotJSON", says: "a coroutine"},
	{name: "returns what contains itself by a tuple", body: "x = []\nx.append(({'a': x},))\nreturn x", status: run.Failed, kind: "OutputNotJSON", says: "output[0][0]['a'] is a list that contains itself"},
	{name: "returns a value whose end prints", body: "class D(dict):\n    def __del__(self): print('gone')\nreturn D()", output: "{}", stdout: "gone\n"},

	{name: "raises a MemoryError of its own", body: "class MemoryError(Exception): pass\nraise MemoryError('mine')", status: run.Failed, kind: "MemoryError", says: "main raised MemoryError: mine (script.py, line 7)"},
	{name: "raises a CommandFailed of its own", body: "class CommandFailed(Exception): pass\nraise CommandFailed('mine')", status: run.Failed, kind: "CommandFailed", says: "main raised CommandFailed: mine (script.py, line 7)"},
	{name: "raises a MissingMain of its own", body: "class MissingMain(Exception): pass\nraise MissingMain('mine')", status: run.Failed, kind: "MissingMain", says: "main raised MissingMain: mine"},
	{name: "raises an OutputNotJSON of its own", body: "class OutputNotJSON(Exception): pass\nraise OutputNotJSON('mine')", status: run.Failed, kind: "OutputNotJSON", says: "main raised OutputNotJSON: mine"},
	{name: "raises a Timeout of its own", body: "class Timeout(Exception): pass\nraise Timeout('mine')", status: run.Failed, kind: "Timeout", says: "main raised Timeout: mine"},
	{name: "raises a SystemExit of its own", body: "class SystemExit(Exception): pass\nraise SystemExit('mine')", status: run.Failed, kind: "SystemExit", says: "main raised SystemExit: mine"},
	{name: "raises a SyntaxError of its own", body: "class SyntaxError(Exception):\n    filename = __file__; msg = 'x'; lineno = 3\nraise SyntaxError('mine')", status: run.Failed, kind: "SyntaxError", says: "main raised SyntaxError: mine"},
	{name: "raises what claims to be a MemoryError", body: "class E(Exception):\n    __class__ = MemoryError\nraise E('mine')", status: run.Failed, kind: "E", says: "main raised E: mine"},
	{name: "lacks memory", body: "raise MemoryError", status: run.OutOfMemory, kind: "MemoryError", says: "128 MB (script.py, line 6)"},
	{name: "lacks memory for numbers", body: "class _ArrayMemoryError(MemoryError): pass\nraise _ArrayMemoryError('Unable to allocate')", status: run.OutOfMemory, kind: "MemoryError", says: "128 MB"},
	{name: "raises what compiles no text", body: "import ast\nast.literal_eval('{1: ')", status: run.Failed, kind: "SyntaxError", says: "main raised SyntaxError: "},
	{name: "raises what compiles a script of that name", body: "compile('x = (', __file__, 'exec')", status: run.Failed, kind: "SyntaxError", says: "main raised SyntaxError: "},
	{name: "raises what is told as a number", body: "class E(Exception):\n    def __str__(self): return 3\nraise E", status: run.Failed, kind: "E", says: "cannot be shown"},
	{name: "raises with properties that raise", body: "class E(Exception):\n    __traceback__ = __cause__ = __context__ = __notes__ = __suppress_context__ = exceptions = property(lambda self: 1/0)\nraise E('x')", status: run.Failed, kind: "E", says: "main raised E: x (script.py, line 8)"},
	{name: "raises an error of the system with another number", body: "class E(OSError):\n    errno = filename = strerror = property(lambda self: 1/0)\nraise E(30, 'x')", status: run.Failed, kind: "E", says: "line 8"},
	{name: "raises a class with a name that raises", body: "class M(type):\n    __name__ = __module__ = property(lambda self: 1/0)\nclass E(Exception, metaclass=M): pass\nraise E('x')", status: run.Failed, kind: "E", says: "main raised E: x"},
	{name: "raises a class without a name", body: "raise type('', (Exception,), {})('x')", status: run.Failed, kind: "Exception", says: "x"},
	{name: "raises from far below", body: "import sys\nsys.setrecursionlimit(20000)\ndef f(n): return f(n - 1) if n else 1/0\nf(4000)", status: run.Failed, kind: "ZeroDivisionError", says: "line 8"},
	{name: "raises in a circle of causes", body: "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a", status: run.Failed, kind: "ValueError", says: "a"},
	{name: "raises BaseException", body: "raise BaseException('x')", status: run.Failed, kind: "BaseException", says: "main raised BaseException: x"},
	{name: "raises GeneratorExit", body: "raise GeneratorExit", status: run.Failed, kind: "GeneratorExit", says: "main raised GeneratorExit (script.py, line 6)"},
	{name: "raises with a surrogate in its notes", body: "e = ValueError('x')\ne.__notes__ = ['\\ud800', 3]\nraise e", status: run.Failed, kind: "ValueError", says: "x"},
	{name: "raises with its folder in the message", body: "import os\nraise ValueError(os.path.join(os.path.dirname(__file__), 'data.csv'))", status: run.Failed, kind: "ValueError", says: "main raised ValueError: data.csv (script.py"},
}
