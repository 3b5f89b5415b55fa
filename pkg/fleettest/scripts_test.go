package fleettest

import (
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// failing are scripts that end with an error of the author's.
var failing = []struct {
	name, script string
	status       run.Status
	kind         string
}{
	{"no-main", "def mian(input):\n    return 1", run.Failed, "MissingMain"},
	{"syntax-error", "def main(input)\n    return 1", run.BuildFailed, "SyntaxError"},
	{"raises", "def main(input):\n    print('before')\n    return deeper(input)\ndef deeper(input):\n    raise ValueError('no such ticket')", run.Failed, "ValueError"},
	{"raises-on-import", "import no_such_module\ndef main(input):\n    return 1", run.Failed, "ModuleNotFoundError"},
	{"returns-a-set", "def main(input):\n    return {1, 2}", run.Failed, "OutputNotJSON"},
	{"returns-nan", "def main(input):\n    return {'n': float('nan')}", run.Failed, "OutputNotJSON"},
	{"returns-7-mb", "def main(input):\n    return 'x' * 7_000_000", run.Failed, "OutputTooLarge"},
	{"sys-exit", "import sys\ndef main(input):\n    sys.exit(3)", run.Failed, "SystemExit"},
	{"os-exit", "import os\ndef main(input):\n    print('before')\n    os._exit(3)", run.Failed, "ExitError"},
	{"never-ends", "import time\ndef main(input):\n    print('before', flush=True)\n    while True:\n        time.sleep(1)", run.TimedOut, "Timeout"},
	{"never-looks-up", "def main(input):\n    while True:\n        pass", run.TimedOut, "Timeout"},
	{"ignores-sigterm", "import signal, time\ndef main(input):\n    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):\n        signal.signal(s, signal.SIG_IGN)\n    while True:\n        time.sleep(1)", run.TimedOut, "Timeout"},
	{"takes-all-memory", "def main(input):\n    kept = []\n    while True:\n        kept.append(bytearray(8 << 20))", run.OutOfMemory, "MemoryError"},
}

// forks leaves a child process with a name of its own.
const forks = `import ctypes, os, time
def main(input):
    ready, told = os.pipe()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"` + leftBehind + `", 0, 0, 0)
        os.write(told, b"x")
        while True:
            time.sleep(1)
    os.read(ready, 1)
    return "forked"`

const leftBehind = "sf-left-behind"

func TestWhateverAScriptDoesEndsInOneResult(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	for _, c := range failing {
		timeout := 3
		if c.status == run.OutOfMemory {
			timeout = 30 // a busy machine takes its time to give the memory
		}
		f.send(request(c.name, Data{Script: c.script, Timeout: timeout}))
	}
	f.send(
		request("forks", Data{Script: forks, Timeout: 3}),
		request("prints-10-mb", Data{Script: "def main(input):\n    for i in range(10_000):\n        print('é' * 500)\n    return i"}),
	)
	for _, c := range failing {
		t.Run(c.name, func(t *testing.T) {
			res := f.Await(t, c.name)
			checkError(t, res, c.status, run.OwnerAuthor, c.kind)
			if executed := c.status != run.BuildFailed; res.Data.MayHaveExecuted != executed || res.Data.Attempt != 1 {
				t.Errorf("attempt %d, may have executed: %t", res.Data.Attempt, res.Data.MayHaveExecuted)
			}
			if string(res.Data.Output) != "null" {
				t.Errorf("there is an output: %.200s", res.Data.Output)
			}
		})
	}
	t.Run("the traceback has the author's frames alone", func(t *testing.T) {
		text := f.Await(t, "raises").Data.Error.Traceback
		if !strings.Contains(text, `"script.py", line 3, in main`) || !strings.Contains(text, `"script.py", line 5, in deeper`) || strings.Contains(text, "handler") {
			t.Errorf("the traceback is:\n%s", text)
		}
	})
	t.Run("what was printed before the end is told", func(t *testing.T) {
		for _, id := range []string{"raises", "os-exit", "never-ends"} {
			if logs := f.Await(t, id).Data.Logs; logs.Stdout != "before\n" {
				t.Errorf("%s: the logs are %+v", id, logs)
			}
		}
	})
	t.Run("a child that is left behind does not go on", func(t *testing.T) {
		if res := f.Await(t, "forks"); res.Data.Status != run.Succeeded || string(res.Data.Output) != `"forked"` {
			t.Errorf("the result is %s", res.Body)
		}
		eventually(t, "the child goes on", func() bool { return !process.Named(leftBehind) })
	})
	t.Run("of 10 MB the beginning is told", func(t *testing.T) {
		res := f.Await(t, "prints-10-mb")
		logs := res.Data.Logs
		if res.Data.Status != run.Succeeded || string(res.Data.Output) != "9999" || !logs.Truncated {
			t.Errorf("the result is %.500s", res.Body)
		}
		if n := len(logs.Stdout); n < 1<<10 || n > 256<<10 || !strings.HasPrefix(logs.Stdout, strings.Repeat("é", 500)+"\n") || strings.ContainsRune(logs.Stdout, '�') {
			t.Errorf("%d bytes were kept: %.100s…", n, logs.Stdout)
		}
	})
	f.goesOn(t)
	f.checkOnce(t, len(failing)+3)
}
