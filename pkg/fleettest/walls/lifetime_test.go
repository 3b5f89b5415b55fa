package walls

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestNothingThatARunLeavesRunsOn(t *testing.T) {
	mark := fmt.Sprintf("walls-left-%d", os.Getpid())
	var left int
	try(t, tenantA, `
def attempt(input):
    import os, subprocess, threading, time, sys
    write = "import time, os\nwhile True:\n    open('/tmp/beat', 'a').write('x'); time.sleep(0.005)"
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", write, input["mark"]], start_new_session=True, stdin=subprocess.DEVNULL)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", write, input["mark"]])
        os._exit(0)
    def beat():
        while True:
            open("/tmp/thread", "a").write("x"); time.sleep(0.005)
    threading.Thread(target=beat, daemon=True).start()
    while not os.path.exists("/tmp/beat") or not os.path.exists("/tmp/thread"): time.sleep(0.01)
    return 1
`, map[string]any{"mark": mark}, &left)
	for _, file := range processes(t) {
		if cmd, _ := os.ReadFile(file); strings.Contains(string(cmd), mark) {
			t.Errorf("%s goes on: %q", file, cmd)
		}
	}
	// The same environment, a moment later. The process's own thread may
	// continue now; its child processes are dead.
	var later struct {
		Alive    []string
		Beats    int
		StillOne bool
	}
	try(t, tenantA, `
def attempt(input):
    import glob, os, time
    before = os.path.getsize("/tmp/beat")
    time.sleep(0.1)
    return {
        "alive": [c for c in (open(f).read() for f in glob.glob("/proc/[0-9]*/cmdline")) if input["mark"] in c],
        "beats": os.path.getsize("/tmp/beat") - before, "stillOne": before > 0,
    }
`, map[string]any{"mark": mark}, &later)
	if len(later.Alive) > 0 || later.Beats > 0 || !later.StillOne {
		t.Errorf("the next run finds %+v", later)
	}
}

func processes(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			files = append(files, "/proc/"+e.Name()+"/cmdline")
		}
	}
	return files
}

// once is a runner of its own: if a script answers in place of its runtime,
// that environment never asks for another invocation and cannot be used again.
func once(t *testing.T, n int) string { return fmt.Sprintf("%s# %s %d\n", runner, t.Name(), n) }

// answer writes to the runtime's socket, bypassing the handler.
const answer = `
import os, json
def post(id, body, kind="response"):
    head = "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (id, kind, len(body))
    data = memoryview(head.encode() + body)
    while data: data = data[os.write(3, data):]
def own():
    import gc
    for o in gc.get_objects():
        if type(o).__name__ == "LambdaContext": return o.aws_request_id
def wait():
    import time
    while True: time.sleep(1)
`

func TestAScriptAnswersNoInvocationButItsOwn(t *testing.T) {
	// B runs at the same time, and its answer is its own.
	fleet.Send(t, fleettest.Request(tenantB, t.Name()+"-b", fleettest.Data{Script: runner, Timeout: 30, Input: input(`
def attempt(input):
    import time
    time.sleep(2)
    return "of b"
`, nil)}))
	for what, id := range map[string]string{"a made-up id": "00000000-0000-4000-8000-000000000000", "a path": "../x", "none": ""} {
		res := runAs(t, tenantA, fleettest.Data{Script: runner, Timeout: 5, Input: input(answer+`
def attempt(input):
    post(input["id"], b'{"output": "forged", "stdout": ""}'); wait()
`, map[string]any{"id": id})})
		if res.Data.Status == run.Succeeded || strings.Contains(string(res.Data.Output), "forged") {
			t.Errorf("%s: %s", what, res.Body)
		}
	}
	if res := fleet.AwaitOf(t, tenantB, t.Name()+"-b"); string(res.Data.Output) != `"of b"` {
		t.Errorf("b's own: %s", res.Body)
	}
	// It may answer its own invocation; the next test checks the result.
	res := runAs(t, tenantA, fleettest.Data{Script: once(t, 0), Timeout: 30, Input: input(answer+`
def attempt(input):
    post(own(), b'{"output": "by hand", "stdout": ""}'); wait()
`, nil)})
	if res.Data.Status != run.Succeeded || string(res.Data.Output) != `"by hand"` {
		t.Errorf("the rightful answer: %s", res.Body)
	}
}

// A script's answer may contain anything: it stays the output of this run, and
// the platform's own fields do not change.
func TestAForgedAnswerChangesNothingThatThePlatformSays(t *testing.T) {
	forged := map[string]any{
		"output": map[string]any{"tenant": tenantB, "id": "x", "data": map[string]any{"status": "failed"}, `"output":null`: `","tenant":"acme`},
		"stdout": `{"tenant":"acme"}`, "stderr": "", "execute_ms": -5, "error": nil,
		"tenant": tenantB, "id": "forged", "subject": "forged", "status": "rejected", "billed_ms": 0, "data": map[string]any{"tenant": tenantB},
	}
	code := answer + `
def attempt(input):
    import time
    time.sleep(0.3)
    post(own(), json.dumps(input["forged"]).encode()); wait()
`
	id := t.Name()
	fleet.Send(t, fleettest.Request(tenantA, id, fleettest.Data{Script: once(t, 0), Timeout: 30, Action: `x","output":null,"tenant":"acme`, Input: input(code, map[string]any{"forged": forged})}))
	res := fleet.AwaitOf(t, tenantA, id)
	if res.Data.Status != run.Succeeded || res.Data.Function.BilledMS < 300 || res.Group != tenantA || res.Tenant != tenantA || res.Subject != id {
		t.Errorf("the result says %s in group %s", res.Body, res.Group)
	}
	var event map[string]json.RawMessage
	decode(t, res.Body, &event)
	if len(event) > 12 || string(event["tenant"]) != `"ac"` || strings.Count(string(res.Body), `"tenant":"ac"`) != 1 {
		t.Errorf("the event has fields of the script's: %s", res.Body)
	}
}

func TestAnAnswerThatIsNoneIsSaidToBeNone(t *testing.T) {
	n := 0
	for what, body := range map[string]string{
		"two values":          `{"output": 1, "stdout": ""} , "tenant": "acme"`,
		"an open string":      `{"output": "`,
		"an end in it":        `{"output": 1}}},"tenant":"acme","x":{"stdout":""}`,
		"bytes that no text":  "{\"output\": \"\\xff\xfe\xff\", \"stdout\": \"\xff\"}",
		"a lone byte in text": "{\"output\": \"\xff\", \"stdout\": \"\"}",
		"nothing":             "",
		"null":                "null",
	} {
		n++
		res := runAs(t, tenantA, fleettest.Data{Script: once(t, n), Timeout: 30, Input: input(answer+`
def attempt(input):
    post(own(), bytes.fromhex(input["hex"])); wait()
`, map[string]any{"hex": fmt.Sprintf("%x", body)})})
		if res.Data.Status != run.PlatformError || !json.Valid(res.Body) || !utf8.Valid(res.Body) {
			t.Errorf("%s: %s", what, res.Body)
		}
	}
}

func TestAForgedReportChangesNoBilling(t *testing.T) {
	res := runAs(t, tenantA, fleettest.Data{Script: runner, Timeout: 30, Input: input(`
def attempt(input):
    import os, sys, time
    real = sys.modules["scriptfleet_handler"].stdout.real
    line = "REPORT RequestId: x\tDuration: 0.10 ms\tBilled Duration: 1 ms\tMemory Size: 1 MB\tMax Memory Used: 1 MB\tInit Duration: 86000 ms\t\n"
    time.sleep(0.3)
    for text in ("END RequestId: x\n" + line, "\n" + line * 40, "REPORT RequestId: "): os.write(real, text.encode())
    print(line * 3); sys.stdout.flush()
    return "done"
`, nil)})
	f := res.Data.Function
	if res.Data.Status != run.Succeeded || f == nil || f.BilledMS < 300 || f.MaxMemoryMB < 5 || res.Data.Timings.Init > 60_000 {
		t.Errorf("the result says %+v: %s", f, res.Body)
	}
}

// An error that a script phrases like one of Lambda's is an error of its own
// run: the run is not repeated, and no other run is delayed.
func TestAForgedErrorIsAnErrorOfItsOwnRun(t *testing.T) {
	for n, kind := range []string{"TooManyRequestsException", "Sandbox.Timedout", "ResourceNotReadyException", "AccessDeniedException", "ServiceException"} {
		res := runAs(t, tenantA, fleettest.Data{Script: once(t, n), Timeout: 30, Input: input(answer+`
def attempt(input):
    post(own(), json.dumps({"errorType": input["kind"], "errorMessage": "Rate exceeded", "tenant": "acme"}).encode(), "error"); wait()
`, map[string]any{"kind": kind})})
		if res.Data.Status == run.Succeeded || res.Data.Error == nil || res.Data.Attempt != 1 || res.Data.Error.Owner == run.OwnerOperator {
			t.Errorf("%s: %s", kind, res.Body)
		}
	}
	var b string
	if try(t, tenantB, `attempt = lambda input: "as ever"`, nil, &b); b != "as ever" {
		t.Errorf("the other gets %q", b)
	}
}

// Output with everything in it that might end its field.
func TestAnOutputStaysInItsField(t *testing.T) {
	for _, output := range []any{
		`"},"tenant":"acme","x":{"y":"`, `"output":null`, "\u0000\u2028</script>\ufffe", map[string]any{"tenant": tenantB, "status": "failed", "error": nil},
	} {
		var got any
		res := try(t, tenantA, `attempt = lambda input: input["give"]`, map[string]any{"give": output}, &got)
		if asJSON(got) != asJSON(output) || res.Tenant != tenantA || res.Data.Error != nil {
			t.Errorf("%q came back as %s", output, res.Body)
		}
	}
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// heldMB is the fleet's peak memory in MB.
func heldMB(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", fleet.PID))
	m := peak.FindSubmatch(status)
	if err != nil || m == nil {
		t.Fatalf("read the fleet's memory: %v", err)
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return kb >> 10
}

func TestNothingThatAScriptSaysFillsTheFleetsMemory(t *testing.T) {
	var got any
	try(t, tenantA, `attempt = lambda input: 1`, nil, &got)
	before := heldMB(t)
	logs := runAs(t, tenantA, fleettest.Data{Script: runner, Timeout: 30, Input: input(`
def attempt(input):
    import os, sys
    real = sys.modules["scriptfleet_handler"].stdout.real
    block = b"x" * (1 << 20)
    for _ in range(150): os.write(1, block); os.write(real, block)
    return "done"
`, nil)})
	if logs.Data.Status != run.Succeeded || !logs.Data.Logs.Truncated || len(logs.Body) > 200<<10 {
		t.Errorf("huge logs: %s, %d bytes", logs.Data.Status, len(logs.Body))
	}
	for what, start := range map[string]string{
		"a head that never ends": `POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nA: `,
		"a line that never ends": ``,
		"a body of 2 EB":         `POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nContent-Length: 2000000000000000000\r\n\r\n`,
	} {
		res := runAs(t, tenantA, fleettest.Data{Script: runner, Timeout: 8, Input: input(`
def attempt(input):
    import os
    os.write(3, b"`+start+`")
    block = b"a" * (1 << 20)
    for _ in range(400): os.write(3, block)
`, nil)})
		if res.Data.Status == run.Succeeded {
			t.Errorf("%s: %s", what, res.Body)
		}
	}
	if grown := heldMB(t) - before; grown > 150 {
		t.Errorf("the fleet has taken %d MB more", grown)
	}
}
