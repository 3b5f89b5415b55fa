package lambda

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// hostile is a script that tries to break the runtime and its environment.
type hostile struct {
	name string
	code string // app.py; mainReturns is appended if it defines no main
	want string // part of the answer's payload; empty: several outcomes are right
}

const mainReturns = "\ndef main(e, c):\n    return 'fine'\n"

const timedOut = "Task timed out after"

// These scripts end by their timeout only. The one that hangs in init runs with
// timeouts around the 10 s of an init phase.
var (
	hangs = hostile{"init sleeps", "import time\ntime.sleep(1000)", timedOut}
	waits = []hostile{
		{"init loops", "while True: pass", timedOut},
		{"init prints endlessly", "import os\nwhile True: os.write(1, b'x' * 65536)\n", timedOut},
		{"init stops itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", timedOut},
		{"main loops", "def main(e, c):\n    while True: pass\n", timedOut},
		{"main prints endlessly", "import os\ndef main(e, c):\n    while True: os.write(1, b'x' * 65536)\n", timedOut},
		{"main stops itself", "import os, signal\ndef main(e, c):\n    os.kill(os.getpid(), signal.SIGSTOP)\n", timedOut},
		{"main promises more than it sends", "import os, time\ndef main(e, c):\n    os.write(3, b'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nContent-Length: 999\\r\\n\\r\\n' % c.aws_request_id.encode())\n    time.sleep(1000)\n", timedOut},
		{"main promises an endless answer", "import os\ndef main(e, c):\n    os.write(3, b'POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\\r\\nContent-Length: 9000000000000000000\\r\\n\\r\\n')\n    while True: os.write(3, b'x' * 65536)\n", timedOut},
	}
)

var quick = []hostile{
	{"init exits", "import sys\nsys.exit(3)", "exit status 3"},
	{"init ends silently", "import os\nos._exit(0)", "without providing a reason"},
	{"init raises BaseException", "raise BaseException('x')", "exit status 1"},
	{"init raises KeyboardInterrupt", "raise KeyboardInterrupt", "Runtime.ExitError"},
	{"init is no Python", "def main(:", "Runtime.UserCodeSyntaxError"},
	{"init kills itself", "import os\nos.kill(os.getpid(), 9)", "signal: killed"},
	{"init kills its parent", "import os\nfor s in range(1, 32):\n    try: os.kill(os.getppid(), s)\n    except OSError: pass\n", "fine"},
	{"init kills all", "import os, signal\ntry: os.kill(-1, 9)\nexcept OSError: pass\n", "fine"},
	{"init kills its group", "import os\nos.killpg(0, 9)", "signal: killed"},
	{"init prints from a thread", "import os, threading\ndef p():\n    while True: os.write(1, b'x' * 65536)\nfor n in range(4): threading.Thread(target=p, daemon=True).start()\n", "fine"},
	{"init leaves a child that prints", "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: os.write(1, b'x' * 65536)\n", "fine"},
	{"init forks without end", "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: os._exit(1)\n", "Runtime.ExitError"},
	{"init closes everything", "import os\nos.closerange(0, 1024)", "Runtime.ExitError"},
	{"init answers before it was asked", "import os\nos.write(3, b'POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}')", "Runtime.ExitError"},
	{"init speaks garbage", "import os\nos.write(3, b'\\x00\\xff' * 5000 + b'\\r\\n\\r\\n')", "Runtime.ExitError"},
	{"init sends a head without end", "import os\nfor n in range(100): os.write(3, b'x' * 4096)\n", "Runtime.ExitError"},
	{"init fails with garbage", "import os, time\nos.write(3, b'POST /2018-06-01/runtime/init/error HTTP/1.1\\r\\nContent-Length: 3\\r\\n\\r\\n\\xff\\x00{')\nos._exit(0)", ""},
	{"init fails at great length", "raise ValueError('x' * 20000000)", ""},
	{"init takes all memory", "x = [b'x' * 1000000 for _ in range(1000)]", ""},
	{"init breaks json", "import json\njson.dumps = json.loads = None", "Runtime"},
	{"init breaks os", "import os\nos.write = os.read = None", "Runtime.ExitError"},
	{"init breaks builtins", "import builtins\nbuiltins.len = builtins.int = builtins.print = None\n", "Runtime.ExitError"},
	{"init breaks import", "import builtins\ndel builtins.__import__\n", ""},
	{"main exits", "import sys\ndef main(e, c):\n    sys.exit(4)\n", "exit status 4"},
	{"main raises BaseException", "def main(e, c):\n    raise BaseException('x')\n", "exit status 1"},
	{"main raises at great length", "def main(e, c):\n    raise ValueError('x' * 10000000)\n", ""},
	{"main returns too much", "def main(e, c):\n    return 'x' * 10000000\n", "Function.ResponseSizeTooLarge"},
	{"main returns a depth", "def main(e, c):\n    x = []\n    for _ in range(100000): x = [x]\n    return x\n", ""},
	{"main overflows its stack", "import sys\nsys.setrecursionlimit(10**8)\ndef main(e, c):\n    return main(e, c)\n", ""},
	{"main closes everything", "import os\ndef main(e, c):\n    os.closerange(0, 1024)\n", "Runtime.ExitError"},
	{"main puts zeros in place of its runtime", "import os\ndef main(e, c):\n    os.dup2(os.open('/dev/zero', os.O_RDWR), 3)\n", "Runtime.ExitError"},
	{"main answers another invocation", "import os\ndef main(e, c):\n    os.write(3, b'POST /2018-06-01/runtime/invocation/../x/response HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}')\n", "Runtime.ExitError"},
	{"main asks instead of answering", "import os\ndef main(e, c):\n    os.write(3, b'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\n\\r\\n')\n", "Runtime.ExitError"},
	{"main answers twice", "import os\ndef main(e, c):\n    os.write(3, b'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nContent-Length: 1\\r\\n\\r\\n1' % c.aws_request_id.encode())\n    return 2\n", ""},
	{"main has an error type of several lines", "def main(e, c):\n    raise type('A\\r\\nContent-Length: 0\\r\\n\\r\\nGET /', (Exception,), {})\n", ""},
	{"main fills its disk", "def main(e, c):\n    with open('/tmp/x', 'wb') as f:\n        while True: f.write(b'x' * 1000000)\n", ""},
	{"main leaves a chain of forks", "import os\ndef main(e, c):\n    if os.fork() == 0:\n        os.setsid()\n        while True:\n            if os.fork(): os._exit(0)\n    return 'fine'\n", "fine"},
	{"main blocks all signals", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n" + mainReturns, "fine"},
}

// quickTimeouts are the timeouts of scripts that end by themselves.
var quickTimeouts = []int{1, 9, 10, 11, 60}

func TestNoScriptEndsTheStackOrANeighboursRun(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.MaxWarm = 8 })
	b.create("neighbour", "def main(e, c):\n    return e\n", within(60))
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan int)
	go func() { served <- b.serveNeighbour(ctx) }()

	var all sync.WaitGroup
	for _, timeout := range []int{1, 9, 10, 11} {
		all.Go(func() { b.suffer(hangs, timeout) })
	}
	for n, h := range waits {
		all.Go(func() { b.suffer(h, []int{1, 2}[n%2]) })
	}
	turns := make(chan struct{}, 4)
	for n, h := range quick {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			b.suffer(h, quickTimeouts[n%len(quickTimeouts)])
		})
	}
	all.Wait()
	stop()
	if n := <-served; n < 20 {
		t.Errorf("the neighbour ran %d times", n)
	}
	wait.Until(t, 10*time.Second, "more than 8 processes stay warm", func() bool { return b.warm() <= 8 })
}

// serveNeighbour invokes a harmless function until ctx ends.
func (b *bench) serveNeighbour(ctx context.Context) (n int) {
	for ; ctx.Err() == nil; n++ {
		want := fmt.Sprintf("%d", n)
		out, err := b.invoke("neighbour", want)
		if err != nil || out.FunctionError != nil || string(out.Payload) != want {
			b.t.Errorf("the neighbour's run %d: %+v %v", n, out, err)
			return n
		}
	}
	return n
}

// suffer invokes a hostile script twice, because its damage may show late.
func (b *bench) suffer(h hostile, timeout int) {
	name := strings.ReplaceAll(fmt.Sprintf("%s-%d", h.name, timeout), " ", "_")
	code := h.code
	if !strings.Contains(code, "def main") {
		code += mainReturns
	}
	if _, err := b.client.CreateFunction(b.t.Context(), with(b.spec(name, code), within(timeout))); err != nil {
		b.t.Error(name, err)
		return
	}
	b.await(name, "Active")
	times := 2
	if strings.HasPrefix(name, "init") && h.want == timedOut {
		times = 1
	}
	for range times {
		began := time.Now()
		out, err := b.invoke(name, "{}")
		most := initPatience + 2*time.Duration(timeout)*time.Second + 20*time.Second
		switch {
		case err != nil:
			b.t.Errorf("%s: %v", name, err)
		case !strings.Contains(string(out.Payload), h.want):
			b.t.Errorf("%s: want %q, got %.300q", name, h.want, out.Payload)
		case time.Since(began) > most:
			b.t.Errorf("%s took %v", name, time.Since(began))
		}
	}
	if _, err := b.client.DeleteFunction(b.t.Context(), &lambda.DeleteFunctionInput{FunctionName: &name}); err != nil {
		b.t.Error(name, err)
	}
}

func within(seconds int) func(*lambda.CreateFunctionInput) {
	return func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(int32(seconds)) }
}

func with(in *lambda.CreateFunctionInput, changes ...func(*lambda.CreateFunctionInput)) *lambda.CreateFunctionInput {
	for _, c := range changes {
		c(in)
	}
	return in
}
