package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/functiontest"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// embedded is the embedded Lambda, and Functions that call it.
func embedded(t *testing.T, pending time.Duration) *Functions {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server, err := lambda.New(lambda.Config{Region: "us-east-1", Account: "123456789012", Dir: t.TempDir(),
		ControlRate: -1, GetFunctionRate: -1, PendingFor: pending}, lambda.Deps{Interpreters: set})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
		front.CloseClientConnections()
		front.Close()
	})
	f := at(front.URL, Deps{})
	f.cfg.NamePrefix = "scriptfleet-suite-"
	return f
}

func newest(t *testing.T) interpreter.Interpreter {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	python, ok := set.Newest()
	if !ok {
		t.Fatal("no Python was found: install Python 3.9 or later")
	}
	return python
}

func TestContractOnTheEmbeddedLambda(t *testing.T) {
	functiontest.Run(t, "python"+newest(t).Minor, func(t *testing.T, pending time.Duration) functiontest.Service {
		return embedded(t, pending)
	})
}

// The answers and logs of the handler under the embedded Lambda's own
// bootstrap, deadlines and signals.
func TestScriptsOnTheEmbeddedLambda(t *testing.T) {
	f := embedded(t, 0)
	python := newest(t)
	for name, c := range map[string]struct {
		script string
		shell  bool
		status run.Status
		kind   string
		output string
		stdout string
		says   string
	}{
		"returns":       {script: "def main(input): return {'b': 1.5, 'a': input}\n", status: run.Succeeded, output: `{"b":1.5,"a":{"x":1}}`},
		"prints":        {script: "import os\ndef main(input):\n    print('a')\n    os.system('echo b')\n", status: run.Succeeded, output: `null`, stdout: "a\nb\n"},
		"raises":        {script: "def main(input): return input['url']\n", status: run.Failed, kind: "KeyError", says: "line 1"},
		"does not load": {script: "def main(input:\n", status: run.Failed, kind: "SyntaxError"},
		"ends":          {script: "import os\ndef main(input):\n    print('last')\n    os._exit(3)\n", status: run.Failed, kind: "ExitError", stdout: "last", says: "exit status 3"},
		"takes memory":  {script: "def main(input):\n    x = []\n    while True: x.append(bytearray(1 << 20))\n", status: run.OutOfMemory, kind: "MemoryError"},
		"hangs":         {script: "import time\ndef main(input):\n    print('so far')\n    time.sleep(100)\n", status: run.TimedOut, kind: "Timeout", stdout: "so far", says: "line 4: time.sleep(100)"},
		"loops in C":    {script: "import collections, itertools\ndef main(input):\n    collections.deque(itertools.repeat(0), maxlen=0)\n", status: run.TimedOut, kind: "Timeout", says: "line 3"},
		"commands":      {script: "echo \"$INPUT\"\n", shell: true, status: run.Succeeded, output: `{"x":1}`},
		"bad command":   {script: "echo oops >&2; exit 7\n", shell: true, status: run.Failed, kind: "CommandFailed", says: "exit code 7: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := run.Script{Source: c.script, TimeoutSeconds: 2, MemoryMB: 128,
				Runtime: run.Runtime{Lambda: "python" + python.Minor, Python: python.Minor, Shell: c.shell}}
			o := invokeOnce(t, f, "scriptfleet-suite-"+strings.ReplaceAll(name, " ", "-"), s)
			if o.Status != c.status || (o.Error != nil) != (c.kind != "") || o.Error != nil && o.Error.Type != c.kind {
				t.Fatalf("%s %+v, want %s %s", o.Status, o.Error, c.status, c.kind)
			}
			if c.output != "" && strings.ReplaceAll(string(o.Output), " ", "") != c.output {
				t.Errorf("output %s, want %s", o.Output, c.output)
			}
			if !strings.Contains(o.Logs.Stdout, c.stdout) || o.Error != nil && !strings.Contains(o.Error.Message, c.says) {
				t.Errorf("logs %+v, error %+v, want %q and %q", o.Logs, o.Error, c.stdout, c.says)
			}
			if o.Report.Duration == 0 {
				t.Errorf("no report: %+v", o.Report)
			}
		})
	}
}

func invokeOnce(t *testing.T, f *Functions, name string, s run.Script) function.Outcome {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	code, err := function.Packager{Interpreters: set}.Pack(t.Context(), s)
	if _, refused := errors.AsType[*run.Error](err); refused { // as with a builder that lacks the interpreter
		code, err = function.Packager{}.Pack(t.Context(), s)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Create(t.Context(), function.Spec{Name: name, Runtime: s.Runtime.Lambda, Handler: function.Handler, Code: code,
		TimeoutSeconds: s.TimeoutSeconds, MemoryMB: s.MemoryMB, RoleARN: "arn:aws:iam::123456789012:role/none"}); err != nil {
		t.Fatal(err)
	}
	if err := f.Await(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	body, err := function.Call{Input: json.RawMessage(`{"x":1}`)}.Payload()
	if err != nil {
		t.Fatal(err)
	}
	inv, err := f.Invoke(t.Context(), "acme", name, body)
	if err != nil {
		t.Fatal(err)
	}
	return function.Read(inv, s)
}
