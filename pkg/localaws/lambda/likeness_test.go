package lambda

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// probes are lines of Python with the outcome that they have on Lambda.
var probes = map[string]struct{ code, want string }{
	"name of the host":    {"import socket; return bool(socket.gethostbyname(socket.gethostname()))", "True"},
	"lock of processes":   {"import multiprocessing; multiprocessing.Lock()", "OSError [Errno 38] Function not implemented"},
	"queue of processes":  {"import multiprocessing; multiprocessing.Queue()", "OSError [Errno 38] Function not implemented"},
	"pool of processes":   {"import multiprocessing; multiprocessing.Pool(2)", "OSError [Errno 38] Function not implemented"},
	"processes and pipe":  {"import multiprocessing as mp\n    a, b = mp.Pipe(); p = mp.get_context('fork').Process(target=b.send, args=(7,)); p.start(); return a.recv()", "7"},
	"shared memory":       {"open('/dev/shm/x', 'w')", "FileNotFoundError [Errno 2] No such file or directory: '/dev/shm/x'"},
	"a full disk":         {"f = open('/tmp/x', 'wb', buffering=0)\n    while True: f.write(b'x' * 1000000)", "OSError [Errno 28] No space left on device"},
	"size of the disk":    {"import os; os.unlink('/tmp/x') if os.path.exists('/tmp/x') else 0; s = os.statvfs('/tmp'); return s.f_blocks * s.f_frsize >> 20", "512"},
	"a file beside /tmp":  {"open('/var/task/x', 'w')", "OSError [Errno 30] Read-only file system: '/var/task/x'"},
	"the user's home":     {"open('/home/x', 'w')", "FileNotFoundError [Errno 2] No such file or directory: '/home/x'"},
	"the task's own root": {"import os; return os.environ['LAMBDA_TASK_ROOT']", "/var/task"},
}

func TestAScriptFindsWhatItFindsOnLambda(t *testing.T) {
	b := newBench(t)
	code := ""
	names := slices.Sorted(maps.Keys(probes))
	for n, name := range names {
		code += "def p" + string(rune('a'+n)) + "():\n    " + probes[name].code + "\n"
	}
	code += "def main(e, c):\n    try: return str(globals()['p' + e]())\n    except BaseException as x: return type(x).__name__ + ' ' + str(x)\n"
	for _, minor := range b.server.deps.Interpreters.Minors() {
		fn := "probes" + minor[2:]
		b.create("python3_"+fn, code, within(30), func(in *lambda.CreateFunctionInput) { in.Runtime = types.Runtime("python" + minor) })
		for n, name := range names {
			payload, _ := json.Marshal(string(rune('a' + n)))
			out, err := b.invoke("python3_"+fn, string(payload))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if err := json.Unmarshal(out.Payload, &got); err != nil || got != probes[name].want {
				t.Errorf("%s, %s: want %s, got %s", minor, name, probes[name].want, out.Payload)
			}
		}
	}
}
