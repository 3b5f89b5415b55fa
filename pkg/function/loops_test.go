package function

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Scripts whose main runs an event loop or threads at its timeout: the line and
// the traceback must still be the author's.
var loopCases = []aCase{
	{name: "awaits", script: "import asyncio\nasync def main(input):\n    print('begun')\n    await asyncio.sleep(100)\n",
		says: "It stood in script.py, line 4: await asyncio.sleep(100).", traced: "  File \"script.py\", line 4, in main\n    await asyncio.sleep(100)\n", stdout: "begun"},
	{name: "awaits what awaits", script: "import asyncio\nasync def inner():\n    await asyncio.sleep(100)\nasync def main(input):\n    await inner()\n",
		says: "line 3", traced: "  File \"script.py\", line 5, in main\n    await inner()\n  File \"script.py\", line 3, in inner\n"},
	{name: "awaits many", script: "import asyncio\nasync def fetch(n):\n    await asyncio.sleep(100)\nasync def main(input):\n    await asyncio.gather(*map(fetch, range(50)))\n",
		says: "line 5", traced: "In 50 other coroutines:\n  File \"script.py\", line 3, in fetch\n"},
	{name: "awaits with a timeout", script: "import asyncio\nasync def inner():\n    await asyncio.Event().wait()\nasync def main(input):\n    await asyncio.wait_for(inner(), 100)\n",
		says: "script.py, line ", traced: "line 3, in inner"},
	{name: "runs a loop of its own", script: "import asyncio\nasync def inner():\n    await asyncio.sleep(100)\ndef main(input):\n    asyncio.run(inner())\n",
		says: "line 5: asyncio.run(inner())", traced: "In another coroutine:\n  File \"script.py\", line 3, in inner\n"},
	{name: "loops in a coroutine", script: "import asyncio\nasync def inner():\n    while True: pass\nasync def main(input):\n    await asyncio.ensure_future(inner())\n",
		says: "line 3", traced: "line 3, in inner"},
	{name: "loops in C in a coroutine", script: "import asyncio, collections, itertools\nasync def main(input):\n    collections.deque(itertools.repeat(0), maxlen=0)\n",
		says: "line 3", traced: "line 3, in main"},
	{name: "waits for a thread of a coroutine", script: "import asyncio, time\ndef work():\n    time.sleep(100)\nasync def main(input):\n    await asyncio.get_running_loop().run_in_executor(None, work)\n",
		says: "line 5", traced: "In another thread:\n  File \"script.py\", line 3, in work\n"},
	{name: "waits for threads", script: "import threading, time\ndef work():\n    time.sleep(100)\ndef main(input):\n    ts = [threading.Thread(target=work) for _ in range(3)]\n    [t.start() for t in ts]\n    ts[0].join()\n",
		says: "line 7: ts[0].join()", traced: "In 3 other threads:\n  File \"script.py\", line 3, in work\n"},
	{name: "waits for a thread, and uses alarms", script: "import signal, threading, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\ndef work():\n    time.sleep(100)\ndef main(input):\n    t = threading.Thread(target=work)\n    t.start()\n    t.join()\n",
		says: "line 8: t.join()", traced: "In another thread:\n  File \"script.py\", line 4, in work\n"},
	{name: "iterates asynchronously", script: "import asyncio\nasync def rows():\n    yield 1\n    await asyncio.sleep(100)\nasync def main(input):\n    async for row in rows(): pass\n",
		says: "line 6", traced: "line 6, in main"},
}

// These need packages that the runtime does not include.
var libraryLoopCases = []aCase{
	{name: "awaits under uvloop", script: "import asyncio, uvloop\nuvloop.install()\nasync def main(input):\n    await asyncio.sleep(100)\n", says: "line 4", traced: "line 4, in main"},
	{name: "runs uvloop", script: "import asyncio, uvloop\nasync def inner():\n    await asyncio.sleep(100)\ndef main(input):\n    uvloop.run(inner())\n", says: "line 5", traced: "line 3, in inner"},
	{name: "sleeps under gevent", script: "from gevent import monkey\nmonkey.patch_all()\nimport time\ndef main(input):\n    time.sleep(100)\n", says: "line 5", traced: "line 5, in main"},
	{name: "waits for greenlets", script: "import gevent\ndef work(n):\n    gevent.sleep(100)\ndef main(input):\n    gevent.joinall([gevent.spawn(work, n) for n in range(9)])\n",
		says: "script.py, line ", traced: "In 9 other greenlets:\n  File \"script.py\", line 3, in work\n"},
	{name: "runs trio", script: "import trio\nasync def inner():\n    await trio.sleep(100)\ndef main(input):\n    trio.run(inner)\n", says: "line 5", traced: "line 3, in inner"},
}

func TestATimeoutTellsWhereAllOfTheScriptStood(t *testing.T) {
	set := interpreters(t)
	minors := set.Minors()
	for _, minor := range []string{minors[0], minors[len(minors)/2], minors[len(minors)-1]} {
		checkLoops(t, minor, set[minor].Path, loopCases)
	}
}

func TestATimeoutTellsWhereAScriptStoodInALoopOfALibrary(t *testing.T) {
	minor, python := tooled(t)
	checkLoops(t, minor, python, libraryLoopCases)
}

func checkLoops(t *testing.T, minor, python string, cases []aCase) {
	for _, c := range cases {
		c.status, c.kind = run.TimedOut, "Timeout"
		t.Run("python"+minor+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			h := startHarness(t, minor, python)
			c.check(t, h, h.python())
		})
	}
}

var libraryHostile = []hostile{
	{name: "freezes time with freezegun", module: "import freezegun\nfreezegun.freeze_time('2030-01-01').start()"},
	{name: "freezes time with freezegun in main", body: "import freezegun, time\nfreezegun.freeze_time('2030-01-01').start()\nreturn time.time()", output: "1893456000.0", stderr: "*"},
	{name: "travels in time", module: "import time_machine, time\ntime_machine.travel(4102444800.0).start()", body: "return time.time() > 4e9", output: "true"},
	{name: "patches everything with gevent", module: "from gevent import monkey\nmonkey.patch_all()\nimport gevent, subprocess", body: "gevent.joinall([gevent.spawn(print, n) for n in range(3)])\nsubprocess.run(['echo', 'x'])\nreturn 1", stdout: "0\n1\n2\nx\n"},
	{name: "leaves a greenlet that prints", module: "import gevent", body: "gevent.spawn_later(0.05, print, 'late')\nreturn 1"},
	{name: "installs uvloop", module: "import uvloop, asyncio\nuvloop.install()", body: "asyncio.run(asyncio.sleep(0))\nreturn 1"},
}

func TestNoLibraryBreaksItsRunOrTheNext(t *testing.T) {
	minor, python := tooled(t)
	h := startHarness(t, minor, python)
	for _, c := range libraryHostile {
		t.Run(c.name, func(t *testing.T) { c.check(t, h) })
	}
}

// tooled is the Python for which .ci/requirements.txt is installed.
func tooled(t *testing.T) (minor, path string) {
	t.Helper()
	tools, err := filepath.Abs("../../.tools")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(tools, "pyvenv.cfg"))
	if err != nil {
		t.Fatalf("%v: run make setup", err)
	}
	for line := range strings.Lines(string(settings)) {
		if version, ok := strings.CutPrefix(line, "version = "); ok {
			parts := strings.Split(version, ".")
			return parts[0] + "." + parts[1], filepath.Join(tools, "bin", "python")
		}
	}
	t.Fatalf("%s tells no version", settings)
	return "", ""
}
