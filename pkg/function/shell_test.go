package function

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var shellCases = []aCase{
	{name: "prints JSON", script: "echo '{\"a\": [1, 2.5]}'\n", output: `{"a":[1,2.5]}`},
	{name: "prints text", script: "echo hello\necho world\n", output: `"hello\nworld"`},
	{name: "prints NaN, which is no JSON", script: "echo NaN\n", output: `"NaN"`},
	{name: "prints nothing", script: "true\n", output: `""`},
	{name: "prints to stderr too", script: "echo careful >&2\necho 1\n", output: `1`, stderr: "careful\n"},
	{name: "fails", script: "echo so far\necho 'no such bucket' >&2\nexit 252\n",
		status: run.Failed, kind: "CommandFailed", says: "exit code 252: no such bucket", stdout: "so far"},
	{name: "stops at the first command that fails", script: "false\necho on\n", status: run.Failed, kind: "CommandFailed", says: "exit code 1 in line 1, `false`"},
	{name: "fails within a pipeline", script: "echo begun\nls /nope | cat |\n  wc -l\necho on\n", status: run.Failed, kind: "CommandFailed",
		says: "exit code 2 in line 3, command 1 of the 3 in its pipeline: ls: ", stdout: "begun"},
	{name: "fails within a function", script: "find() {\n  ls /nope\n}\nx=$(false; true)\nfind\n", status: run.Failed, kind: "CommandFailed", says: "in line 2, `ls /nope`"},
	{name: "goes on after a failure that it expects", script: "x=$(false; true)\nls /nope 2>/dev/null || echo '\"none\"'\n", output: `"none"`},
	{name: "exits by itself after a failure that it expects", script: "x=$(false; true)\nexit 3\n", status: run.Failed, kind: "CommandFailed", says: "exit code 3."},
	{name: "stops reading what another prints", script: "yes | head -1\n", status: run.Failed, kind: "CommandFailed", says: "SIGPIPE"},
	{name: "leaves bash's own settings out of other scripts", script: "printf 'false\\necho on\\n' > other.sh\nbash other.sh\n", output: `"on"`},
	{name: "calls AWS without a credential", script: "echo 'Unable to locate credentials.' >&2\nexit 253\n", status: run.Failed, kind: "CommandFailed",
		says: "Give the action a credential"},
	{name: "names a command that is not there", script: "no-such-command-here\n", status: run.Failed, kind: "CommandFailed", says: "not found"},
	{name: "is killed", script: "kill -9 $$\n", status: run.Failed, kind: "CommandFailed", says: "signal 9"},
	{name: "reads its input", script: "echo \"$INPUT\"\n", input: `{"x":"y"}`, output: `{"x":"y"}`},
	{name: "reads its input from stdin", script: "cat\n", input: `{"x":"y"}`, output: `{"x":"y"}`},
	{name: "reads its input from a file", script: "cat \"$INPUT_FILE\"\n", input: `{"x":"y"}`, output: `{"x":"y"}`},
	{name: "is given an input too large for the environment", script: "test -z \"$INPUT\"; wc -c\n", input: `{"x":"` + strings.Repeat("y", 200000) + `"}`, output: `200009`},
	{name: "prints 7 MB", script: "head -c 7000000 /dev/zero | tr '\\0' x\n", status: run.Failed, kind: "OutputTooLarge", says: "7000000"},
	{name: "has no credentials by itself", script: "env | grep -c AWS_SECRET || true\n", output: `0`},
	{name: "leaves a command in the background", script: "sleep 100 &\necho 1\n", output: `1`},
	{name: "never ends", script: "echo begun\nsleep 100\n", status: run.TimedOut, kind: "Timeout", says: "timeout", stdout: "begun"},
}

func TestWhatBecomesOfCommands(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of the role without permissions")
	set := interpreters(t)
	newest, _ := set.Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	for _, c := range shellCases {
		t.Run(c.name, func(t *testing.T) { c.check(t, h, h.shell()) })
	}
}

func TestCommandsFindTheCredentialInTheirEnvironmentAlone(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	s := run.Script{Runtime: h.shell(), Source: "echo \"$AWS_ACCESS_KEY_ID/$AWS_SECRET_ACCESS_KEY/$AWS_SESSION_TOKEN/$AWS_REGION\"; cat >&2\n"}
	call := Call{Credentials: &Credentials{Success: true, AccessKeyID: "AK", SecretAccessKey: "SK", SessionToken: "ST", Expiration: "2026-11-23T09:00:00Z"}}

	o, _ := h.invoke(t, s, 10000, call)
	if got := string(o.Output); got != `"AK/SK/ST/eu-west-1"` {
		t.Errorf("output %s, error %v", got, o.Error)
	}
	if o.Logs.Stderr != `{"AwsCredentials": {"Success": true, "Expiration": "2026-11-23T09:00:00Z"}}` {
		t.Errorf("the input is %s: secrets do not belong in it", o.Logs.Stderr)
	}

	o, _ = h.invoke(t, s, 10000, call, Call{})
	if got := string(o.Output); !strings.HasPrefix(got, `"///`) {
		t.Errorf("a run without a credential found %s, of the run before", got)
	}
}

func TestCommandsWithoutTheirCredentialSayWhy(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	refused := Call{Credentials: &Credentials{Error: "AccessDenied: it does not trust the platform."}}
	o, _ := h.invoke(t, run.Script{Runtime: h.shell(), Source: "cat >&2\nexit 253\n"}, 10000, refused)
	if o.Error == nil || !strings.HasSuffix(o.Error.Message, "The commands had no credential. AccessDenied: it does not trust the platform.") {
		t.Errorf("the error is %+v", o.Error)
	}
	if o.Logs.Stderr != `{"AwsCredentials": {"Success": false, "Error": "AccessDenied: it does not trust the platform."}}` {
		t.Errorf("the input is %s", o.Logs.Stderr)
	}
}

// The layer's own aws names the interpreter of the machine that built it.
func TestCommandsRunTheLayersAWSAndJQWithTheFunctionsOwnPython(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	layer := t.TempDir()
	write(t, filepath.Join(layer, "awscli", "__init__.py"), "")
	write(t, filepath.Join(layer, "awscli", "__main__.py"), "import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
	write(t, filepath.Join(layer, "bin", "aws"), "#!/no/such/python\n")
	write(t, filepath.Join(layer, "bin", "jaq"), "#!/bin/sh\necho '\"'\"the layer's, $1\"'\"'\n")
	t.Setenv("PYTHONPATH", layer)
	h := startHarness(t, newest.Minor, newest.Path)

	o, _ := h.invoke(t, run.Script{Runtime: h.shell(), Source: "aws sts get-caller-identity\n"}, 10000, Call{})
	if got := string(o.Output); got != `["sts", "get-caller-identity"]` {
		t.Errorf("output %s, error %v", got, o.Error)
	}
	o, _ = h.invoke(t, run.Script{Runtime: h.shell(), Source: "jq .a\n"}, 10000, Call{})
	if got := string(o.Output); got != `"the layer's, .a"` {
		t.Errorf("jq prints %s, error %v", got, o.Error)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
