package function

import (
	"errors"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// told is a script and the full message that its author gets. %d stands for the
// minor version of the running Python.
type told struct {
	name   string
	files  map[string]string // of its requirements
	script string
	kind   string
	says   string
	from   int // the first minor version with this message; 0: no lower bound
	until  int // the last one; 0: no upper bound
}

const body = "def main(input):\n    "

var hintCases = []told{
	{name: "a package inside main", script: body + "import requests_of_nobody\n", kind: "ModuleNotFoundError",
		says: "main raised ModuleNotFoundError: No module named 'requests_of_nobody' (script.py, line 2). Add the package that provides it to the requirements."},
	{name: "a package at module level", script: "import requests_of_nobody\n", kind: "ModuleNotFoundError",
		says: "Importing the script raised ModuleNotFoundError: No module named 'requests_of_nobody' (script.py, line 1). Add the package that provides it to the requirements."},
	{name: "a package of another name", script: body + "import bs4\n", kind: "ModuleNotFoundError",
		says: "main raised ModuleNotFoundError: No module named 'bs4' (script.py, line 2). Add beautifulsoup4, which provides it, to the requirements."},
	{name: "what Lambda has", script: body + "raise ModuleNotFoundError(\"No module named 'boto3'\", name='boto3')\n", kind: "ModuleNotFoundError",
		says: "main raised ModuleNotFoundError: No module named 'boto3' (script.py, line 2). It is there on Lambda; this stack, which runs scripts itself, could not fetch it"},
	{name: "a module that a package has not", files: map[string]string{"there/__init__.py": ""}, script: "import there.nothing\n", kind: "ModuleNotFoundError",
		says: "there is there, but this version of it has no such module: check the name, or take another version."},
	{name: "distutils", script: "from distutils.util import strtobool\n", kind: "ModuleNotFoundError", from: 12,
		says: "Importing the script raised ModuleNotFoundError: No module named 'distutils' (script.py, line 1). distutils is not part of Python since 3.12: " +
			"instead of strtobool compare the text, instead of find_executable use shutil.which, instead of LooseVersion the package packaging; for all else add setuptools to the requirements."},
	{name: "cgi", script: body + "import cgi\n", kind: "ModuleNotFoundError", from: 13, says: "cgi is not part of Python since 3.13: use urllib.parse and email.message"},
	{name: "a module of Python 2", script: "import urllib2\n", kind: "ModuleNotFoundError", says: "urllib2 is not part of Python since 3.0: use urllib.request."},
	{name: "a module of a later Python", script: "import tomllib\n", kind: "ModuleNotFoundError", until: 10, says: "tomllib is part of Python since 3.11, and the runtime's is 3.%d: choose a newer runtime."},
	{name: "a name that moved", script: body + "import collections\n    return collections.Mapping\n", kind: "AttributeError", from: 10,
		says: "main raised AttributeError: module 'collections' has no attribute 'Mapping' (script.py, line 3). collections.Mapping is not part of Python since 3.10: use collections.abc.Mapping."},
	{name: "a name that is gone", script: "from inspect import getargspec\n", kind: "ImportError", from: 11, says: "inspect.getargspec is not part of Python since 3.11: use inspect.getfullargspec."},
	{name: "a name of a later Python", script: "from datetime import UTC\n", kind: "ImportError", until: 10, says: "datetime.UTC is part of Python since 3.11, and the runtime's is 3.%d: choose a newer runtime."},

	{name: "a requirement in the place of Python's", files: map[string]string{"asyncio/__init__.py": "from .base_events import *\n", "asyncio/base_events.py": "x = 1\ny = x.async\nfrom .tasks import async = 3\n"},
		script: "import asyncio\n", kind: "SyntaxError",
		says: "asyncio is part of Python, and a requirement takes its place: remove that from the requirements."},
	{name: "a requirement in the place of Python's that fails later", files: map[string]string{"statistics.py": "raise TypeError('old')\n"}, script: body + "import statistics\n", kind: "TypeError",
		says: "main raised TypeError: old (script.py, line 2). statistics is part of Python, and a requirement takes its place: remove that from the requirements."},
	{name: "a package for an older Python", files: map[string]string{"tweepy/__init__.py": "import tweepy.streaming\n", "tweepy/streaming.py": "def f(async): pass = 1\n"}, script: "import tweepy\n", kind: "SyntaxError",
		says: "(script.py, line 1). tweepy is not written for Python 3.%d: take a newer version of it."},
	{name: "text that main compiles", script: "import ast\n" + body + "ast.literal_eval('{1: ')\n", kind: "SyntaxError", says: "main raised SyntaxError: "},
	{name: "text that the import compiles", script: "import ast\nast.literal_eval('{1: ')\n", kind: "SyntaxError", says: "Importing the script raised SyntaxError: "},
	{name: "the script itself", script: "def main(input:\n", kind: "SyntaxError", says: "The script does not compile on python3.%d: "},

	{name: "a file beside the script", script: "import os\n" + body + "e = OSError(30, 'Read-only file system', 'report.csv')\n    raise e\n", kind: "OSError",
		says: "main raised OSError: [Errno 30] Read-only file system: 'report.csv' (script.py, line 4). A script can write below /tmp alone: write to /tmp/report.csv."},
	{name: "a folder of the function's", script: body + "raise PermissionError(13, 'Permission denied', '/var/task/x/report.csv')\n", kind: "PermissionError",
		says: "A script can write below /tmp alone: write to /tmp/report.csv."},
	{name: "a file of somebody's", script: body + "raise PermissionError(13, 'Permission denied', '/etc/shadow')\n", kind: "PermissionError",
		says: "main raised PermissionError: [Errno 13] Permission denied: '/etc/shadow' (script.py, line 2)."},
	{name: "a disk that is full", script: body + "raise OSError(28, 'No space left on device')\n", kind: "OSError",
		says: "/tmp is full, and what earlier runs left there counts too: remove files once they are not needed."},
	{name: "a program that is not there", script: "import subprocess\n" + body + "subprocess.run(['no-such-git', 'clone'])\n", kind: "FileNotFoundError",
		says: "The runtime has no program no-such-git: do it in Python, or bring it with a requirement."},
	{name: "a group of errors", script: body + "raise ExceptionGroup('both', [ExceptionGroup('inner', [ValueError('first')]), KeyError('k')])\n", kind: "ExceptionGroup", from: 11,
		says: "main raised ExceptionGroup: both (2 sub-exceptions); the first of them is ValueError: first (script.py, line 2)."},
	{name: "a loop within a loop", script: "import asyncio\nasync def main(input):\n    asyncio.run(asyncio.sleep(0))\n", kind: "RuntimeError",
		says: "main is awaited as it is: await the coroutine instead of calling asyncio.run."},
}

// Lambda has no /dev/shm, and sem_open fails there with ENOSYS. On Lambda C
// code raises it, so the innermost frame is that of its caller in Python.
const noSharedMemory = `import _multiprocessing, multiprocessing, os
exec(compile("""
def SemLock(*a, **k): raise OSError(38, 'Function not implemented')
SemLock._rand, SemLock.SEM_VALUE_MAX = None, 1
_multiprocessing.SemLock = SemLock
""", os.path.join(os.path.dirname(multiprocessing.__file__), "synchronize.py"), "exec"))
`

func init() {
	for name, use := range map[string]string{
		"Pool": "import multiprocessing\n    multiprocessing.Pool(2)", "ThreadPool": "from multiprocessing.pool import ThreadPool\n    ThreadPool(2)",
		"mp.Queue": "import multiprocessing as mp\n    mp.Queue()", "mp.Lock": "import multiprocessing as mp\n    mp.Lock()",
		"ProcessPoolExecutor": "import concurrent.futures as f\n    f.ProcessPoolExecutor(2).submit(print).result()",
	} {
		hintCases = append(hintCases, told{name: name, script: noSharedMemory + body + use + "\n", kind: "OSError",
			says: "There is no shared memory on Lambda, so that multiprocessing has no Pool, ThreadPool, Queue or Lock there: use concurrent.futures.ThreadPoolExecutor, or Process with Pipe."})
	}
}

func TestAnErrorSaysWhatToMend(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, h *harness) {
		minor := minorOf(h.minor)
		for _, c := range hintCases {
			if c.from > minor || c.until > 0 && c.until < minor {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				o, r := h.invokeWith(t, run.Script{Source: c.script, Runtime: h.python()}, c.files, 10000, Call{})
				if o[0].Status != run.Failed || o[0].Error.Owner != run.OwnerAuthor || o[0].Error.Type != c.kind {
					t.Fatalf("%s: %+v\n%+.2000v", o[0].Status, o[0].Error, r)
				}
				holds(t, "message", o[0].Error.Message, strings.ReplaceAll(c.says, "%d", strings.TrimPrefix(h.minor, "3.")))
				if strings.Contains(o[0].Error.Message, r.folder) || strings.Contains(o[0].Error.Traceback, r.folder) {
					t.Errorf("the error tells a path of this machine: %+v", o[0].Error)
				}
			})
		}
	})
}

func TestAnErrorsPathsAreThoseThatTheAuthorKnows(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	o, _ := h.invoke(t, run.Script{Source: "from json import nothing\n", Runtime: h.python()}, 10000, Call{})
	if strings.Contains(o.Error.Message, newest.Prefix) || !strings.Contains(o.Error.Message, "(json/__init__.py)") {
		t.Errorf("%+v", o.Error)
	}
}

// Without the handler's own note, a signal that the script sends to its own
// process would look like a lack of memory.
func TestAScriptThatKillsItselfIsToldSo(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	for call, by := range map[string]string{
		"os.killpg(0, 9)": "os.killpg", "os.killpg(os.getpgrp(), 15)": "os.killpg", "os.kill(os.getpid(), 9)": "os.kill", "os.kill(0, signal.SIGTERM)": "os.kill",
	} {
		o, r := h.invoke(t, run.Script{Source: "import os, signal\ndef main(input):\n    print('so far')\n    " + call + "\n", Runtime: h.python()}, 10000, Call{})
		want := "The script ended its process with " + by + " (script.py, line 4) before main returned: the signal reached the function itself, so name the process that it is meant for."
		if o.Status != run.Failed || o.Error.Type != "ExitError" || o.Error.Message != want || o.Logs.Stdout != "so far\n" {
			t.Errorf("%s: %s %+v\n%+v", call, o.Status, o.Error, r)
		}
	}
	for _, call := range []string{"os.kill(os.getpid(), 0)", "os.kill(os.getpid(), signal.SIGCONT)", "signal.signal(10, lambda *a: None); os.kill(os.getpid(), 10)"} {
		o, r := h.invoke(t, run.Script{Source: "import os, signal\ndef main(input):\n    " + call + "\n", Runtime: h.python()}, 10000, Call{})
		if o.Status != run.Succeeded || strings.Contains(r.Log, lastWordsMark+`{"by"`) {
			t.Errorf("%s: %s %+v\n%+v", call, o.Status, o.Error, r)
		}
	}
}

func TestASyntaxErrorNamesTheRuntimeAndANewerOne(t *testing.T) {
	set := interpreters(t)
	minors := set.Minors()
	oldest, newest := minors[0], minors[len(minors)-1]
	if minorOf(oldest) >= 12 || minorOf(newest) < 12 {
		t.Fatalf("found Python %v: install one before 3.12 and one after", minors)
	}
	for minor, want := range map[string]string{
		oldest: "on python" + oldest + ": invalid syntax (script.py, line 1). Python " + newest + " compiles it: choose a newer runtime, or write it for Python " + oldest + ".",
	} {
		var e *run.Error
		s := run.Script{Source: "type X = int\ndef main(input): pass\n", Runtime: run.Runtime{Name: "python" + minor, Python: minor}}
		if _, err := (Packager{Interpreters: set}).Pack(t.Context(), s); !errors.As(err, &e) || !strings.HasSuffix(e.Message, want) {
			t.Errorf("Python %s: %v, want …%s", minor, err, want)
		}
	}
	var e *run.Error
	if err := pack(Packager{Interpreters: set}, oldest, "def main(input:\n"); !errors.As(err, &e) || strings.Contains(e.Message, "newer") {
		t.Errorf("what no Python compiles: %v", err)
	}
	if err := pack(Packager{Interpreters: set}, oldest, "x = 'a\x00b'\n"); !errors.As(err, &e) || strings.Contains(e.Message, "line 0") {
		t.Errorf("a fault without a line: %v", err)
	}
}

func minorOf(version string) int {
	minor := 0
	for _, digit := range strings.TrimPrefix(version, "3.") {
		minor = minor*10 + int(digit-'0')
	}
	return minor
}
