package walls

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// inherits is a way in which one script of an env runner could see or change what
// the tenant's next one does: the first leaves something, the second tells what it
// finds. Both are bodies of main.
type inherits struct {
	name   string
	first  string
	second string
	want   string // of the second, in a runner
	// naive is that without the mechanism, where one process executes both: it must
	// differ, so the attempt works. "-" where that is not tried.
	naive string
}

var inheritances = []inherits{
	{name: "files in /tmp", first: "open('/tmp/left', 'w').write('x'); os.symlink('/etc', '/tmp/link'); os.mkfifo('/tmp/fifo')",
		second: "return sorted(os.listdir('/tmp'))", want: "[]", naive: `["fifo","left","link"]`},
	{name: "files in /dev/shm", first: "os.path.isdir('/dev/shm') and open('/dev/shm/left', 'w').write('x')",
		second: "return os.listdir('/dev/shm') if os.path.isdir('/dev/shm') else []", want: "[]", naive: `["left"]`},
	{name: "folders that nobody may enter, deeper than a path", first: "os.chdir('/tmp')\nfor n in range(1500):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('f', 'w').close(); os.chmod('f', 0); os.chmod('.', 0); os.chdir('/tmp'); os.chmod('d' * 200, 0)",
		second: "return len(os.listdir('/tmp'))", want: "0", naive: "1"},
	{name: "a full disk", first: "open('/tmp/full', 'wb').write(bytes(50 << 20))",
		second: "import shutil; return shutil.disk_usage('/tmp').used < 1 << 20", want: "true", naive: "false"},
	{name: "a home with a module that Python loads by itself", first: "home = os.path.expanduser('~/.local/lib/python3/site-packages'); os.makedirs(home); open(home + '/usercustomize.py', 'w').write('x = 1'); open(os.path.expanduser('~/.profile'), 'w').write('x')",
		second: "return os.path.exists(os.path.expanduser('~/.local')) or os.path.exists(os.path.expanduser('~/.profile'))", want: "false", naive: "true"},
	{name: "the mode and the attributes of /tmp", first: "import contextlib\nwith contextlib.suppress(OSError): os.setxattr('/tmp', 'user.left', b'x')\nwith contextlib.suppress(OSError): os.chmod('/tmp', 0)",
		second: "open('/tmp/mine', 'w').close(); return [a for a in os.listxattr('/tmp') if a == 'user.left']", want: "[]", naive: "-"},
	{name: "a core of a crash", first: "import resource; os.chdir('/tmp')\nwith contextlib_suppress(): resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\nif os.fork() == 0: os.abort()\nos.wait()",
		second: "return [f for f in os.listdir('/tmp') if f.startswith('core')]", want: "[]", naive: "-"},

	{name: "a daemon in a session of its own", first: daemon("left-daemon"), second: seen("left-daemon"), want: "0", naive: "1"},
	{name: "a chain of processes that fork and exit", first: "if os.fork() == 0:\n    os.setsid()\n    while True:\n        if os.fork(): os._exit(0)\n", second: "import glob\nreturn sum(1 for _ in range(20) for f in glob.glob('/proc/[0-9]*/stat') if orphan(f))", want: "0", naive: "-"},
	{name: "a server on a port", first: "import socket\nif os.fork() == 0:\n    os.setsid()\n    s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', input['port'])); s.listen()\n    while True: s.accept()\nfor _ in range(1000):\n    if connects(input['port']): break\n    time.sleep(0.01)",
		second: "return connects(input['port'])", want: "false", naive: "true"},
	{name: "an abstract socket", first: "import socket\nglobal kept\nkept = socket.socket(socket.AF_UNIX); kept.bind('\\0walls-left'); kept.listen()\nif os.fork() == 0: time.sleep(300)",
		second: "import socket\ns = socket.socket(socket.AF_UNIX); return s.connect_ex('\\0walls-left') == 0", want: "false", naive: "true"},
	{name: "a lock on a file of the handler", first: "import fcntl\nif os.fork() == 0:\n    os.setsid(); f = open(sys.modules['json'].__file__); fcntl.flock(f, fcntl.LOCK_EX); time.sleep(300)\ntime.sleep(0.1)",
		second: "import fcntl\nf = open(sys.modules['json'].__file__)\ntry:\n    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); return True\nexcept OSError: return False", want: "true", naive: "false"},

	{name: "patched modules and built-in functions", first: "import builtins, json\njson.dumps = json.loads = lambda *a, **k: 'mine'\nos.getcwd = lambda: 'mine'\nsys.modules['left'] = json\nbuiltins.left = 1",
		second: "import builtins, json\nreturn [json.dumps(1), json.loads('1'), os.getcwd() == 'mine', 'left' in sys.modules, hasattr(builtins, 'left')]", want: `["1",1,false,false,false]`, naive: "-"},
	{name: "environment, folder, mask, priority, limits", first: "import resource\nos.environ['LEFT'] = 'x'; os.environ['LD_PRELOAD'] = '/tmp/x.so'; os.chdir('/'); os.umask(0o777); os.nice(5); resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))",
		second: "import resource\nmask = os.umask(0o22)\nreturn [os.environ.get('LEFT'), os.environ.get('LD_PRELOAD'), mask == 0o777, os.nice(0), resource.getrlimit(resource.RLIMIT_NOFILE)[1] == 20]", want: `[null,null,false,0,false]`, naive: `["x","/tmp/x.so",true,5,true]`},
	{name: "timers, handlers of signals, functions at exit", first: "import atexit, signal\nsignal.signal(signal.SIGUSR1, lambda *a: None); signal.setitimer(signal.ITIMER_VIRTUAL, 100); atexit.register(print, 'late')",
		second: "import atexit, signal\nreturn [signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL, signal.getitimer(signal.ITIMER_VIRTUAL)[0]]", want: `[true,0.0]`, naive: "-"},
	{name: "the input of the run before, in memory", first: "return 1", second: "return in_memory('S3CRET[-]of')", want: "false", naive: "true"},
	{name: "shared memory, semaphores and queues of System V", first: sysv + "return [c.shmget(77, 4096, 0o1600), c.semget(77, 1, 0o1600), c.msgget(77, 0o1600)] and None",
		second: sysv + "return [c.shmget(77, 0, 0), c.semget(77, 0, 0), c.msgget(77, 0)]", want: "[-1,-1,-1]", naive: "-"},
	{name: "a POSIX message queue", first: sysv + "return c.mq_open(b'/left', 0o102, 0o600, None) and None", second: sysv + "return c.mq_open(b'/left', 2)", want: "-1", naive: "-"},
	{name: "a key in a keyring", first: sysv + "return c.syscall(KEY, b'user', b'left', b'x', 1, -4) and None", second: sysv + "return c.syscall(KEY + 1, b'user', b'left', None, 0)", want: "-1", naive: "-"},
	{name: "limits and priorities of other processes", first: "import resource, contextlib\nfor pid in others():\n    for what in (lambda: resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0)), lambda: os.setpriority(0, pid, 19), lambda: os.sched_setaffinity(pid, {max(os.sched_getaffinity(0))}), lambda: os.setpriority(2, 0, 19)):\n        with contextlib.suppress(OSError): what()",
		second: "import resource\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\nreturn [resource.getrlimit(resource.RLIMIT_NPROC)[0] == 0, os.nice(0)]", want: "[false,0]", naive: "-"},
}

// tries are what a script could do to the processes of a runner in its own run. Each
// returns what it achieved.
var tries = []inherits{
	{name: "read the memory, the environment or the files of another process", first: `
found = []
for pid in others():
    for what in ("mem", "environ", "maps", "fd", "cwd", "root", "auxv", "stack"):
        try:
            path = "/proc/%d/%s" % (pid, what)
            os.listdir(path) if what == "fd" else os.readlink(path) if what in ("cwd", "root") else open(path, "rb").read(1)
            found.append(path)
        except OSError: pass
return found`, want: "[]"},
	{name: "trace another process, or write into it", first: sysv + `
found = []
for pid in others():
    for request in (16, 0x4206):
        if c.ptrace(request, pid, None, None) == 0: found.append("traced")
    with contextlib_suppress():
        open("/proc/%d/mem" % pid, "wb"); found.append("written to")
    with contextlib_suppress():
        open("/proc/%d/oom_score_adj" % pid, "w").write("999"); found.append("its score changed")
return found`, want: "[]"},
	{name: "signal another process", first: `
import signal
found = []
for pid in others() + [-1]:
    for which in (0, signal.SIGSTOP, signal.SIGKILL):
        for send in (os.kill, tkill):
            try:
                send(pid, which); found.append([pid, which])
            except OSError: pass
return found`, want: "[]"},
	{name: "make a system call that the filter refuses", first: sysv + `
import errno
from scriptfleet_runner_walls import calls
pid = os.getppid() # the template: it is protected as the runner is
refused = [
    ("kill", -os.getpgid(pid), 0), ("kill", -1, 0), ("kill", pid, 0), ("tkill", pid, 0), ("tgkill", pid, pid, 0),
    ("rt_sigqueueinfo", pid, 0, 0), ("rt_tgsigqueueinfo", pid, pid, 0, 0), ("sched_setaffinity", pid, 0, 0),
    ("sched_setscheduler", pid, 0, 0), ("sched_setparam", pid, 0), ("sched_setattr", pid, 0, 0), ("prlimit64", pid, 7, 0, 0),
    ("setpriority", 0, pid, 0), ("setpriority", 1, 0, 0), ("ioprio_set", 1, pid, 0x4000), ("ioprio_set", 2, 0, 0x4000),
    ("add_key", 0, 0, 0, 0, 0), ("request_key", 0, 0, 0, 0), ("keyctl", 0, -3, 0), (434, pid, 0), (425, 0, 0), (426, 0), (427, 0)]
if os.uname().machine == "x86_64": refused.append((0x40000000 | 39,))
found = []
for name, *arguments in refused:
    ctypes.set_errno(0)
    done = c.syscall(*(ctypes.c_long(a) for a in [calls.get(name, name)] + arguments))
    if done != -1 or ctypes.get_errno() != errno.EPERM: found.append([name, arguments])
return found`, want: "[]"},
	{name: "be allowed a core", first: "import resource\nreturn [size for size in resource.getrlimit(resource.RLIMIT_CORE) if size != 0]", want: "[]"},
	{name: "find a descriptor of the runtime's", first: `
import socket, stat
found = []
for name in os.listdir("/proc/self/fd"):
    try:
        s = socket.socket(fileno=os.dup(int(name)))
        found.append([name, s.family.name])
    except OSError: pass
return found[1:] # the first is that over which it answers`, want: "[]"},
	{name: "change the handler's files", first: `
import scriptfleet_handler
found, folder = [], os.path.dirname(scriptfleet_handler.__file__)
for name in os.listdir(folder) + ["new.py"]:
    try:
        open(os.path.join(folder, name), "a"); found.append(name)
    except OSError: pass
return found`, want: "[]"},
}

// sysv calls C's library.
const sysv = "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True); KEY = 248 if os.uname().machine == 'x86_64' else 217\n"

// helpers stand before each script.
const helpers = `
import glob, os, sys, time

def contextlib_suppress():
    import contextlib
    return contextlib.suppress(OSError, ValueError)

def others():
    """The processes that this one sees and did not begin."""
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid() and int(p) != 1]

def orphan(file):
    try: text = open(file).read()
    except OSError: return False
    fields = text.rpartition(")")[2].split()
    return fields[0] != "Z" and int(fields[3]) not in (os.getsid(0), os.getsid(os.getppid())) and int(text.split()[0]) != 1 and "python" in text

def connects(port):
    import socket
    s = socket.socket()
    try: return s.connect_ex(("127.0.0.1", port)) == 0
    finally: s.close()

def tkill(pid, number):
    import ctypes
    if ctypes.CDLL(None).syscall(200 if os.uname().machine == "x86_64" else 130, pid, number) != 0: raise OSError()

def in_memory(pattern):
    """Whether the memory of this process holds what the pattern matches, which is not itself."""
    import re
    word = re.compile(pattern.encode())
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            if "r" not in line.split()[1] or "[v" in line or end - begin > 256 << 20: continue
            try:
                memory.seek(begin)
                if word.search(memory.read(end - begin)): return True
            except (OSError, ValueError): pass
    return False
`

func script(body string) string {
	return helpers + "def main(input):\n    " + strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n    ") + "\n"
}

func daemon(mark string) string {
	return "import subprocess\nsubprocess.Popen([sys.executable, '-c', 'import os, time; os.fork(); os.setsid() if os.getpid() != os.getpgrp() else 0; print(flush=True); time.sleep(300)', '" + mark + "'], start_new_session=True, stdout=subprocess.PIPE).stdout.readline()"
}

func seen(mark string) string {
	return "def told(f):\n    try: return open(f).read()\n    except OSError: return ''\nreturn min(1, sum('" + mark + "' in told(f) for f in glob.glob('/proc/[0-9]*/cmdline')))"
}

// machine executes a script with an input, and returns its output.
type machine func(t *testing.T, source string, input map[string]any) string

// ofRunner is the script of an env runner, and a script that it executes.
func ofRunner(t *testing.T, runtime run.Runtime, source string) (runner run.Script, given *run.Script) {
	t.Helper()
	s := run.Script{Tenant: tenantA, Runtime: runtime, Arch: "x86_64", Source: source, TimeoutSeconds: 20, MemoryMB: 256}
	s.Hash = run.HashOf(s)
	runner, ok := run.RunnerOf(s, 60)
	if !ok {
		t.Fatal("there is no runner")
	}
	return runner, &s
}

func newest(t *testing.T) (interpreter.Interpreter, interpreter.Set) {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	python, _ := set.Newest()
	return python, set
}

// outputOf reads the answer of a runner.
func outputOf(t *testing.T, inv function.Invocation, s run.Script) string {
	t.Helper()
	if err := function.NotTakenBy("runner", inv); err != nil {
		t.Fatal(err)
	}
	o := function.Read(inv, s)
	if o.Error != nil {
		return o.Error.Type + ": " + o.Error.Message + "\n" + o.Error.Traceback
	}
	return compacted(o.Output)
}

// embeddedRunner is an env runner on the embedded stack.
func embeddedRunner(t *testing.T) machine {
	python, set := newest(t)
	runtime := run.Runtime{Name: "python" + python.Minor, Lambda: "python" + python.Minor, Python: python.Minor}
	runner, _ := ofRunner(t, runtime, "")
	code, err := function.Packager{Interpreters: set}.Pack(t.Context(), runner)
	if err != nil {
		t.Fatal(err)
	}
	client, name := lambda.NewFromConfig(root()), aws.String(run.FunctionName("scriptfleet", tenantA, runner.Hash))
	if _, err := client.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: name, Role: aws.String(fleet.set["SCRIPTFLEET_ROLE_ARN"]), Runtime: types.Runtime(runtime.Lambda),
		Handler: aws.String(function.RunnerHandler), Code: codeOf(code), Timeout: aws.Int32(int32(runner.TimeoutSeconds)), MemorySize: aws.Int32(256),
	}); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, fleettest.Within, "the runner is not active", func() bool {
		out, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: name})
		return err == nil && out.Configuration.State == types.StateActive
	})
	return func(t *testing.T, source string, input map[string]any) string {
		_, s := ofRunner(t, runtime, source)
		out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: name, Payload: payloadOf(t, s, input)})
		if err != nil {
			t.Fatal(err)
		}
		return outputOf(t, function.Invocation{Payload: out.Payload, FunctionError: aws.ToString(out.FunctionError)}, *s)
	}
}

// lambdaRunner is an env runner in Lambda's environment, without a wall of the
// embedded stack.
func lambdaRunner(t *testing.T) (machine, *bareLambda) {
	python, set := newest(t)
	runtime := run.Runtime{Name: "own", Lambda: run.Custom, Python: python.Minor, Zip: "any"}
	runner, _ := ofRunner(t, runtime, "")
	code, err := function.Packager{Interpreters: set}.Pack(t.Context(), runner)
	if err != nil {
		t.Fatal(err)
	}
	l := startLambda(t, python, code, function.RunnerHandler)
	return func(t *testing.T, source string, input map[string]any) string {
		_, s := ofRunner(t, runtime, source)
		return outputOf(t, invocation(l.invoke(payloadOf(t, s, input))), *s)
	}, l
}

func invocation(answer []byte) function.Invocation {
	inv := function.Invocation{Payload: answer}
	if strings.HasPrefix(string(answer), `{"errorType"`) {
		inv.FunctionError = "Unhandled"
	}
	return inv
}

// naive executes each script in one process, without any mechanism.
const naive = `
kept = None
def handle(event, context):
    global kept
    before, kept = kept, event
    space = {"__name__": "script", "before": before}
    exec(event["script"]["source"], space)
    return space["main"](event["input"])
`

func naiveLambda(t *testing.T) (machine, *bareLambda) {
	python, set := newest(t)
	runtime := run.Runtime{Name: "own", Lambda: run.Custom, Python: python.Minor, Zip: "any"}
	runner, _ := ofRunner(t, runtime, "")
	code, err := function.Packager{Interpreters: set}.Pack(t.Context(), runner)
	if err != nil {
		t.Fatal(err)
	}
	l := startLambda(t, python, with(t, code, "naive.py", "import os\nos.environ['HOME'] = '/tmp'\nos.chdir('/tmp')\n"+naive), "naive.handle")
	return func(t *testing.T, source string, input map[string]any) string {
		_, s := ofRunner(t, runtime, source)
		return compacted(l.invoke(payloadOf(t, s, input)))
	}, l
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func payloadOf(t *testing.T, s *run.Script, input map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	body, err := function.Call{Script: s, Input: text}.Payload()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestNoScriptOfAnEnvRunnerReachesTheNext(t *testing.T) {
	lambdas, _ := lambdaRunner(t)
	for where, execute := range map[string]machine{"embedded": embeddedRunner(t), "Lambda": lambdas} {
		for _, c := range inheritances {
			t.Run(where+"/"+c.name, func(t *testing.T) {
				input := map[string]any{"port": freePort(t)}
				with := map[string]any{"port": input["port"], "secret": "S3CRET-of-the-run"}
				first := execute(t, script(c.first), with)
				if got := execute(t, script(c.second), input); got != c.want {
					t.Errorf("the first answers %s, and the second finds %s, not %s", first, got, c.want)
				}
			})
		}
		for _, c := range tries {
			t.Run(where+"/"+c.name, func(t *testing.T) {
				if got := execute(t, script(c.first), nil); got != c.want {
					t.Errorf("a script achieves %s", got)
				}
				if got := execute(t, script("return 'fine'"), nil); got != `"fine"` {
					t.Errorf("the next one answers %s", got)
				}
			})
		}
	}
}

// Without the mechanism each of these attempts works.
func TestWithoutAnEnvRunnerScriptsOfOneProcessReachTheNext(t *testing.T) {
	for _, c := range inheritances {
		if c.naive == "-" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			execute, _ := naiveLambda(t)
			input := map[string]any{"port": freePort(t)}
			first := execute(t, script(c.first), map[string]any{"port": input["port"], "secret": "S3CRET-of-the-run"})
			if got := execute(t, script(c.second), input); got != c.naive {
				t.Errorf("the first answers %s, and the second finds %s, not %s", first, got, c.naive)
			}
		})
	}
}

// callsOfTheAPI are ways to the Runtime API: it returns those that lead to its port.
const callsOfTheAPI = `
import ctypes, socket, struct, threading
port, found = input["port"], []
c = ctypes.CDLL(None, use_errno=True)
def connected(s):
    try: return s.getpeername()[1] == port
    except OSError: return False
def attempt(name, family, address):
    s = socket.socket(family)
    s.settimeout(2)
    try: s.connect(address)
    except OSError: pass
    if connected(s): found.append(name)
    s.close()
attempt("connect", socket.AF_INET, ("127.0.0.1", port))
attempt("localhost", socket.AF_INET, ("localhost", port))
attempt("any address", socket.AF_INET, ("0.0.0.0", port))
attempt("another loopback address", socket.AF_INET, ("127.1.2.3", port))
attempt("mapped", socket.AF_INET6, ("::ffff:127.0.0.1", port))
attempt("mapped any", socket.AF_INET6, ("::ffff:0.0.0.0", port))
s = socket.socket(); s.setblocking(False)
s.connect_ex(("127.0.0.1", port)); time.sleep(0.05)
if connected(s): found.append("without blocking")
s = socket.socket()
try: s.sendto(b"GET", 0x20000000, ("127.0.0.1", port))
except OSError: pass
if connected(s): found.append("fast open")
s = socket.socket()
try: s.sendmsg([b"GET"], [], 0x20000000, ("127.0.0.1", port))
except OSError: pass
if connected(s): found.append("fast open of a message")
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_char_p), ("size", ctypes.c_size_t)]
class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("name_size", ctypes.c_uint), ("vectors", ctypes.POINTER(Vector)), ("count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]
s = socket.socket()
to = struct.pack("=H", 2) + struct.pack("!H", port) + bytes([127, 0, 0, 1]) + bytes(8)
name = ctypes.create_string_buffer(to, 16)
c.sendmmsg(s.fileno(), ctypes.byref(Message(ctypes.cast(name, ctypes.c_char_p), 16, ctypes.pointer(Vector(b"GET", 3)), 1)), 1, 0x20000000)
if connected(s): found.append("fast open of messages")
pid = os.fork()
if pid == 0:
    os.setsid(); found.clear(); attempt("in a child", socket.AF_INET, ("127.0.0.1", port)); os.kill(os.getpid(), 15 if found else 9)
if os.waitpid(pid, 0)[1] != 9: found.append("in a child")
# The address changes between the look and the connect.
address = ctypes.create_string_buffer(struct.pack("=H", 2) + struct.pack("!H", input["open"]) + bytes([127, 0, 0, 1]) + bytes(8), 16)
going = [True]
def change():
    while going:
        for p in (port, input["open"]): ctypes.memmove(ctypes.addressof(address) + 2, struct.pack("!H", p), 2)
threading.Thread(target=change, daemon=True).start()
for _ in range(300):
    s = socket.socket()
    c.connect(s.fileno(), address, 16)
    if connected(s): found.append("a changed address"); break
    s.close()
going.clear()
return found`

// passes are connects that a script may make.
const passes = `
import errno, socket, threading
told = []
s = socket.create_connection(("127.0.0.1", input["open"]), 5); told.append(s.recv(5).decode()); s.close()
s = socket.socket(); s.setblocking(False); told.append(s.connect_ex(("127.0.0.1", input["open"])) in (0, errno.EINPROGRESS))
told.append(socket.socket().connect_ex(("127.0.0.1", input["closed"])) == errno.ECONNREFUSED)
u = socket.socket(socket.AF_UNIX); os.chdir("/tmp"); u.bind("here"); u.listen(); told.append(socket.socket(socket.AF_UNIX).connect_ex("here"))
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); told.append(d.connect_ex(("127.0.0.1", input["port"] ^ 1)))
threads = [threading.Thread(target=lambda: told.append(socket.create_connection(("127.0.0.1", input["open"]), 5).recv(5).decode())) for _ in range(5)]
for t in threads: t.start()
for t in threads: t.join()
return told`

// On Lambda any process of an environment can answer the invocation under way and
// ask for the next.
func TestNoScriptOfAnEnvRunnerReachesTheRuntimeAPI(t *testing.T) {
	execute, l := lambdaRunner(t)
	greets, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greets.Close()
	go func() {
		for {
			c, err := greets.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	_, text, _ := net.SplitHostPort(l.api)
	port, _ := strconv.Atoi(text)
	input := map[string]any{"port": port, "open": greets.Addr().(*net.TCPAddr).Port, "closed": freePort(t)}
	if got := execute(t, script(callsOfTheAPI), input); got != "[]" {
		t.Errorf("a script reaches it by %s", got)
	}
	if got, want := execute(t, script(passes), input), `["hello",true,true,0,0,"hello","hello","hello","hello","hello"]`; got != want {
		t.Errorf("other connects give %s, not %s", got, want)
	}
	if starts := l.restarts(); starts > 0 {
		t.Errorf("the runtime began anew %d times", starts)
	}
}

// thief answers in place of its runtime, and waits for the next invocation, which
// another script's runtime would have got.
const thief = `
import http.client, json
api = http.client.HTTPConnection(input["api"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/" + path, body)
    answer = api.getresponse()
    return answer.getheader("Lambda-Runtime-Aws-Request-Id"), answer.read()
mine, _ = call("GET", "invocation/next")
call("POST", "invocation/%s/response" % mine, b'"answered"')
stolen, event = call("GET", "invocation/next")
call("POST", "invocation/%s/response" % stolen, json.dumps("stolen: " + json.loads(event)["input"]["secret"]).encode())`

func TestWithoutAnEnvRunnerAScriptTakesTheNextInvocation(t *testing.T) {
	execute, l := naiveLambda(t)
	first := execute(t, script(thief), map[string]any{"api": l.api})
	second := execute(t, script("return 'mine'"), map[string]any{"secret": "S3CRET"})
	if first != `"answered"` || second != `"stolen: S3CRET"` {
		t.Errorf("the thief answers %s and %s: then this is no test of the wall", first, second)
	}
}
