package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

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

// survivors lists the processes of the host that carry a marker.
func survivors(marker string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if line, _ := os.ReadFile(f); strings.Contains(string(line), marker) && f != fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			found = append(found, f)
		}
	}
	return found
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
	if left := survivors(marker); len(left) > 0 {
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
`)
	if out, err := b.invoke("forks", fmt.Sprintf("%q", marker)); err != nil || string(out.Payload) != `"left"` {
		t.Fatal(out, err)
	}
	if left := survivors(marker); len(left) > 0 {
		t.Errorf("alive: %v", left)
	}
	before, err := b.invoke("forks", `"count"`)
	if err != nil {
		t.Fatal(err)
	}
	if string(before.Payload) == "0" {
		t.Error("the thread never ran: the test proves nothing")
	}
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
`, b.server.cfg.Dir), func(in *lambda.CreateFunctionInput) {
		in.Environment = &types.Environment{Variables: map[string]string{"COLOUR": "blue"}}
	})
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

func TestManyInvokesOfANewFunctionShareEnvironments(t *testing.T) {
	b := newBench(t)
	b.create("burst", "import os\ndef main(e, c):\n    return e\n")
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if out, err := b.invoke("burst", fmt.Sprint(n)); err != nil || string(out.Payload) != fmt.Sprint(n) {
				t.Error(out, err)
			}
		})
	}
	wg.Wait()
	b.server.mu.Lock()
	warm := b.server.warm
	b.server.mu.Unlock()
	t.Logf("%d environments", warm)
	if warm > 25 {
		t.Errorf("50 short invocations started %d environments", warm)
	}
}

func TestSlowInvokesRunAtTheSameTime(t *testing.T) {
	b := newBench(t)
	dir := "/tmp"
	b.create("slow", fmt.Sprintf("import time, os\ndef main(e, c):\n    time.sleep(1.5)\n    return os.path.exists(%q)\n", dir), func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(20) })
	var wg sync.WaitGroup
	began := time.Now()
	for range 4 {
		wg.Go(func() {
			if _, err := b.invoke("slow", "{}"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("four invocations of 1.5 s took %v: they ran one after the other", took)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.MaxConcurrency = 2 })
	b.create("waits", "import time\ndef main(e, c):\n    time.sleep(e)\n", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(30) })
	b.create("reserved", echo)
	if _, err := b.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("reserved"), ReservedConcurrentExecutions: aws.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	var throttled *types.TooManyRequestsException
	if _, err := b.invoke("reserved", "{}"); !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded {
		t.Error(err)
	}
	for range 2 {
		out, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("waits"), InvocationType: types.InvocationTypeEvent, Payload: []byte("20")})
		if err != nil || out.StatusCode != 202 {
			t.Fatal(out, err)
		}
	}
	if _, err := b.invoke("waits", "0"); !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonConcurrentInvocationLimitExceeded {
		t.Error(err)
	}
	if _, err := b.client.DeleteFunctionConcurrency(t.Context(), &lambda.DeleteFunctionConcurrencyInput{FunctionName: aws.String("reserved")}); err != nil {
		t.Error(err)
	}
}

func TestPayloadsAreBoundedAndJSON(t *testing.T) {
	b := newBench(t)
	b.create("sized", "def main(e, c):\n    return len(e)\n")
	_, err := b.invoke("sized", `"`+strings.Repeat("x", maxPayload)+`"`)
	wantCode(t, err, "RequestTooLargeException", "6291456")
	if out, err := b.invoke("sized", `"`+strings.Repeat("x", maxPayload-2)+`"`); err != nil || string(out.Payload) != fmt.Sprint(maxPayload-2) {
		t.Error(out, err)
	}
	_, err = b.invoke("sized", `{"a"`)
	wantCode(t, err, "InvalidRequestContentException")
	dry, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("sized"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || dry.StatusCode != 204 {
		t.Error(dry, err)
	}
	_, err = b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("sized"), Qualifier: aws.String("7")})
	wantCode(t, err, "ResourceNotFoundException")
}

func TestEveryInstalledRuntimeRuns(t *testing.T) {
	b := newBench(t)
	for _, minor := range b.server.deps.Interpreters.Minors() {
		name := "python3_" + strings.TrimPrefix(minor, "3.")
		b.create(name, "import sys, ssl, ctypes, sqlite3, multiprocessing\ndef main(e, c):\n    return '%d.%d' % sys.version_info[:2]\n", func(in *lambda.CreateFunctionInput) { in.Runtime = types.Runtime("python" + minor) })
		if out, err := b.invoke(name, "{}"); err != nil || string(out.Payload) != fmt.Sprintf("%q", minor) {
			t.Errorf("%s: %s %v", minor, out.Payload, err)
		}
	}
}

func TestIdleEnvironmentsEnd(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.IdleTimeout = 50 * time.Millisecond })
	b.create("idle", echo)
	if _, err := b.invoke("idle", "{}"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return b.warm() == 0 })
}

func (b *bench) warm() int {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	return b.server.warm
}

func TestTheLeastRecentlyUsedEnvironmentEndsFirst(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.MaxWarm = 2 })
	code := "n = 0\ndef main(e, c):\n    global n\n    n += 1\n    return n\n"
	for _, name := range []string{"a", "b", "c"} {
		b.create(name, code)
	}
	for _, step := range []struct{ name, want string }{{"a", "1"}, {"b", "1"}, {"a", "2"}, {"c", "1"}, {"a", "3"}, {"b", "1"}} {
		if out, err := b.invoke(step.name, "{}"); err != nil || string(out.Payload) != step.want {
			t.Errorf("%s: want %s, got %s %v", step.name, step.want, out.Payload, err)
		}
	}
	if n := b.warm(); n > 2 {
		t.Errorf("%d environments are warm", n)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	b := newBench(t)
	marker := fmt.Sprintf("close-%d", time.Now().UnixNano())
	b.create("runs", "import subprocess, sys, time\ndef main(e, c):\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)', e])\n    time.sleep(300)\n", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(600) })
	b.create("warm", echo)
	if _, err := b.invoke("warm", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("runs"), InvocationType: types.InvocationTypeEvent, Payload: fmt.Appendf(nil, "%q", marker)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(survivors(marker)) > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.server.Close(ctx); err != nil {
		t.Error(err)
	}
	if left := survivors(marker); len(left) > 0 {
		t.Errorf("alive: %v", left)
	}
	_, err := b.invoke("warm", "{}")
	wantCode(t, err, "ServiceException")
}

func TestDeletingAFunctionEndsItsEnvironments(t *testing.T) {
	b := newBench(t)
	b.create("gone", echo)
	if _, err := b.invoke("gone", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("gone")}); err != nil {
		t.Fatal(err)
	}
	if n := b.warm(); n != 0 {
		t.Errorf("%d environments are warm", n)
	}
}

func BenchmarkWarmInvoke(b *testing.B) {
	x := newBench(b)
	x.create("warm", echo)
	for b.Loop() {
		if _, err := x.invoke("warm", "{}"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkColdInvoke(b *testing.B) {
	x := newBench(b)
	x.create("cold", "import os\ndef main(e, c):\n    os._exit(0)\n")
	for b.Loop() {
		if _, err := x.invoke("cold", "{}"); err != nil {
			b.Fatal(err)
		}
	}
}
