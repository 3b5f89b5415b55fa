package lambda

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

func logOf(t testing.TB, out *lambda.InvokeOutput) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// failed invokes, and asserts that the function failed with a type and a text.
func (b *bench) failed(name, payload, kind, text string) *lambda.InvokeOutput {
	b.t.Helper()
	out, err := b.invoke(name, payload)
	if err != nil {
		b.t.Fatal(err)
	}
	var body struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(out.Payload, &body); err != nil {
		b.t.Fatalf("%s: %v", out.Payload, err)
	}
	if aws.ToString(out.FunctionError) != "Unhandled" || body.ErrorType != kind || !regexp.MustCompile(text).MatchString(body.ErrorMessage) {
		b.t.Errorf("want %s %q, got %s %s", kind, text, aws.ToString(out.FunctionError), out.Payload)
	}
	return out
}

var report = regexp.MustCompile(`REPORT RequestId: [0-9a-f-]{36}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: [1-9]\d* MB\t(Init Duration: \d+\.\d\d ms\t)?`)

func TestInvokeAnswersWithOutputAndLog(t *testing.T) {
	b := newBench(t)
	b.create("talks", "import sys\nprint('importing')\ndef main(event, context):\n    print('to stdout'); print('to stderr', file=sys.stderr)\n    return {'got': event, 'id': context.aws_request_id, 'left': context.get_remaining_time_in_millis() > 0}\n")
	out, err := b.invoke("talks", `{"ключ": [1, 2.5, null]}`)
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Got  map[string]any
		ID   string
		Left bool
	}
	if err := json.Unmarshal(out.Payload, &body); err != nil || len(body.Got["ключ"].([]any)) != 3 || !body.Left {
		t.Errorf("%s %v", out.Payload, err)
	}
	want := fmt.Sprintf("importing\nSTART RequestId: %s Version: $LATEST\nto stdout\nto stderr\nEND RequestId: %s\nREPORT", body.ID, body.ID)
	if log := logOf(t, out); !strings.Contains(log, want) || !report.MatchString(log) || !strings.Contains(log, "Init Duration") {
		t.Error(log)
	}
	again, err := b.invoke("talks", `1`)
	if err != nil {
		t.Fatal(err)
	}
	if log := logOf(t, again); strings.Contains(log, "importing") || strings.Contains(log, "Init Duration") || strings.Count(log, "to stdout") != 1 {
		t.Error("the second log is not its own alone: " + log)
	}
	silent, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("talks")})
	if err != nil || silent.LogResult != nil || !strings.Contains(string(silent.Payload), `"got": {}`) {
		t.Error(silent, err)
	}
}

func TestAnEnvironmentIsUsedAgain(t *testing.T) {
	b := newBench(t)
	b.create("warm", "n = 0\ndef main(e, c):\n    global n\n    n += 1\n    return n\n")
	for want := range 3 {
		if out, err := b.invoke("warm", "{}"); err != nil || string(out.Payload) != fmt.Sprint(want+1) {
			t.Error(out, err)
		}
	}
}

func TestErrorsComeAsLambdaWordsThem(t *testing.T) {
	b := newBench(t)
	b.create("raises", "import sys, os\ndef main(e, c):\n    exec(e)\n    return eval(e.split('#')[1]) if '#' in e else None\n")
	b.failed("raises", `"raise KeyError('x')"`, "KeyError", `^'x'$`)
	b.failed("raises", `"#{1}"`, "Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON serializable")
	b.failed("raises", `"sys.exit(3)"`, "Runtime.ExitError", `^RequestId: [0-9a-f-]{36} Error: Runtime exited with error: exit status 3$`)
	b.failed("raises", `"os._exit(0)"`, "Runtime.ExitError", "Runtime exited without providing a reason$")
	b.failed("raises", `"os.kill(os.getpid(), 9)"`, "Runtime.ExitError", "Runtime exited with error: signal: killed$")
	b.failed("raises", `"os.abort()"`, "Runtime.ExitError", "Runtime exited with error: signal: aborted$")
	b.failed("raises", `"os.close(3)"`, "Runtime.ExitError", "Runtime exited")
	b.failed("raises", `"#'x' * (7 << 20)"`, "Function.ResponseSizeTooLarge", "6291556")
	if out, err := b.invoke("raises", `"pass"`); err != nil || string(out.Payload) != "null" {
		t.Error("it does not work again: ", out, err)
	}
}

func TestInitErrorsComeAsLambdaWordsThem(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct{ code, kind, text string }{
		"module":  {"import no_such_module", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'no_such_module'"},
		"syntax":  {"def main(:", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"},
		"handler": {"x = 1", "Runtime.HandlerNotFound", "Handler 'main' missing on module 'app'"},
		"raises":  {"1 / 0", "ZeroDivisionError", "division by zero"},
		"exits":   {"import os; os._exit(4)", "Runtime.ExitError", "exit status 4"},
	} {
		b.create(name, c.code)
		out := b.failed(name, "{}", c.kind, c.text)
		if log := logOf(t, out); !strings.Contains(log, "REPORT RequestId") {
			t.Error(log)
		}
	}
}

func TestATimeoutKillsEverything(t *testing.T) {
	b := newBench(t)
	marker := fmt.Sprintf("timeout-%d", time.Now().UnixNano())
	b.create("hangs", `
import os, signal, subprocess, sys, time
def main(e, c):
    for s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", "import os,time\nif os.fork() == 0: os.setsid()\ntime.sleep(300)", e], start_new_session=True)
    print("before the end")
    while True: time.sleep(1)
`, func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(1) })
	out := b.failed("hangs", fmt.Sprintf("%q", marker), "Sandbox.Timedout", `^RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds$`)
	if left := process.Marked("cmdline", marker); len(left) > 0 {
		t.Errorf("alive: %v", left)
	}
	log := logOf(t, out)
	if !strings.Contains(log, "before the end") || !strings.Contains(log, "Task timed out after 1.00 seconds") || !strings.Contains(log, "\tDuration: 1000.00 ms\tBilled Duration: ") || !strings.Contains(log, "Status: timeout") {
		t.Error(log)
	}
}

func TestTooMuchMemoryKills(t *testing.T) {
	b := newBench(t)
	b.create("hog", "def main(e, c):\n    x = []\n    while True: x.append(bytearray(1 << 20))\n")
	if sandbox.Probe().MemoryCgroup == 0 {
		b.failed("hog", "{}", "MemoryError", "")
		return
	}
	out := b.failed("hog", "{}", "Runtime.ExitError", "Runtime exited with error: signal: killed$")
	if log := logOf(t, out); !strings.Contains(log, "Memory Size: 128 MB\tMax Memory Used: 128 MB") {
		t.Error(log)
	}
}

func TestOutputIsBoundedAndItsEndIsKept(t *testing.T) {
	b := newBench(t)
	b.create("prints", "import os\ndef main(e, c):\n    for _ in range(160): os.write(1, b'x' * 65536)\n    print('the end')\n")
	out, err := b.invoke("prints", "{}")
	if err != nil {
		t.Fatal(err)
	}
	if log := logOf(t, out); len(log) > tailBytes || !strings.Contains(log, "x\nthe end") && !strings.Contains(log, "xthe end") {
		t.Error(len(log), log[max(0, len(log)-300):])
	}
}

func TestNothingGoesOnAfterTheAnswer(t *testing.T) {
	b := newBench(t)
	marker := fmt.Sprintf("background-%d", time.Now().UnixNano())
	b.create("forks", `
import os, subprocess, sys, threading, time
count = 0
def spin():
    global count
    while True: count += 1
def main(e, c):
    if e == "count": return count
    threading.Thread(target=spin, daemon=True).start()
    subprocess.Popen([sys.executable, "-c", "import os,time\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(300)", e])
    if os.fork() == 0:
        os.setsid(); os.execv("/bin/sh", ["sh", "-c", "sleep 300; : " + e])
    time.sleep(0.05)
    return "left"
`, alone)
	if out, err := b.invoke("forks", fmt.Sprintf("%q", marker)); err != nil || string(out.Payload) != `"left"` {
		t.Fatal(out, err)
	}
	if left := process.Marked("cmdline", marker); len(left) > 0 {
		t.Errorf("alive: %v", left)
	}
	wait.Until(t, 10*time.Second, "the process is not stopped", func() bool { return slices.Equal(runtimeStates(), []string{"T"}) })
	after, err := b.invoke("forks", `"count"`)
	if err != nil {
		t.Fatal(err)
	}
	if string(after.Payload) == "0" {
		t.Error("the thread never ran: the test proves nothing")
	}
}

// alone makes a function for whose runtime no interpreters are kept waiting: it
// has a variable of its own.
func alone(in *lambda.CreateFunctionInput) {
	in.Environment = &types.Environment{Variables: map[string]string{"COLOUR": "blue"}}
}

// runtimeStates returns the kernel's state of each runtime of this process; T
// is stopped.
func runtimeStates() (states []string) {
	var inits []string
	field := func(pid, name string) string {
		data, _ := os.ReadFile("/proc/" + pid + "/status")
		_, rest, _ := strings.Cut(string(data), "\n"+name+":\t")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, depth := range []int{1, 2} {
		for _, pid := range pids {
			pid = filepath.Base(pid)
			parent := field(pid, "PPid")
			if depth == 1 && parent == fmt.Sprint(os.Getpid()) {
				inits = append(inits, pid)
			} else if depth == 2 && slices.Contains(inits, parent) {
				states = append(states, field(pid, "State")[:1])
			}
		}
	}
	return states
}

func TestAFunctionSeesNoSecretAndNoOtherFunction(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "fleet-secret")
	t.Setenv("FLEET_SECRET", "hunter2")
	b := newBench(t)
	b.create("other", "SECRET = 'of another tenant'\n"+echo)
	if _, err := b.invoke("other", "{}"); err != nil {
		t.Fatal(err)
	}
	b.create("curious", fmt.Sprintf(`
import os
def main(e, c):
    found = [k for k, v in os.environ.items() if "SECRET" in k or "TOKEN" in k or "hunter2" in v or "ACCESS_KEY" in k]
    for p in [%q, "/etc/shadow", "/proc/1/environ", "/home"]:
        try:
            (os.listdir if os.path.isdir(p) else open)(p); found.append(p)
        except OSError: pass
    for d in ["/var/task", "/var/runtime", "/opt", "/", "/usr"]:
        try:
            open(d + "/x", "w"); found.append(d)
        except OSError: pass
    pids = [p for p in os.listdir("/proc") if p.isdigit()]
    return [found, len(pids), os.getuid(), sorted(os.listdir("/var/task"))]
`, b.server.cfg.Dir), alone)
	out, err := b.invoke("curious", "{}")
	if err != nil || string(out.Payload) != `[[], 1, 1000, ["app.py"]]` {
		t.Errorf("%s %v", out.Payload, err)
	}
}

func TestAnEnvironmentCannotAnswerForAnother(t *testing.T) {
	b := newBench(t)
	b.create("forger", `
import os
def main(e, c):
    body = b'"forged"'
    os.write(3, b"POST /2018-06-01/runtime/invocation/another/response HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n" + body)
    return "honest"
`)
	b.failed("forger", "{}", "Runtime.ExitError", "Runtime exited")
}
