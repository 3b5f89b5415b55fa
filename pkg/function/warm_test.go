package function

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestWarmRunsBeginAsTheFirstDid(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, h *harness) {
		s := run.Script{Runtime: h.python(), Source: `
import os, sys
print("imported")
first = sys.stdout
n = 0
def main(input):
    global n
    n += 1
    seen = [n, os.environ.get("LEFT"), os.environ.get("HOME"), os.getcwd(), sys.stdout is first or n]
    print("run", n)
    os.environ["LEFT"] = "over"
    os.environ.pop("HOME", None)
    os.chdir("/")
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    sys.stdout = None
    return seen
`}
		o, _ := h.invoke(t, s, 10000, Call{}, Call{})
		var seen []any
		if err := json.Unmarshal(o.Output, &seen); err != nil {
			t.Fatalf("%v: %+v", err, o)
		}
		if seen[0] != 2.0 || seen[1] != nil || seen[2] != "/tmp" || seen[3] != "/tmp" || seen[4] != true {
			t.Errorf("the second run saw %v", seen)
		}
		if o.Logs.Stdout != "run 2\n" {
			t.Errorf("the second run printed %q", o.Logs.Stdout)
		}
	})
}

func TestAnImportThatFailedIsTriedAgain(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	s := run.Script{Runtime: h.python(), Source: `
import os
flag = os.path.join(os.path.dirname(__file__), "flag")
if not os.path.exists(flag):
    open(flag, "w").close()
    raise OSError("the network is down")
def main(input): return "up"
`}
	if o, _ := h.invoke(t, s, 10000, Call{}); o.Status != run.Failed || o.Error.Type != "OSError" {
		t.Errorf("first: %+v", o)
	}
	if o, _ := h.invoke(t, s, 10000, Call{}, Call{}); string(o.Output) != `"up"` {
		t.Errorf("second: %+v", o)
	}
}

func TestScriptsFindTheirCredentialInTheInput(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	s := run.Script{Runtime: h.python(), Source: "def main(input): return input\n"}
	for want, call := range map[string]Call{
		`{}`: {},
		`{"a":1,"AwsCredentials":{"Success":false}}`: {Input: json.RawMessage(`{"a":1}`), Credentials: &Credentials{}},
		`{"AwsCredentials":{"Success":true,"AccessKeyId":"AK","SecretAccessKey":"SK","SessionToken":"ST"}}`: {
			Credentials: &Credentials{Success: true, AccessKeyID: "AK", SecretAccessKey: "SK", SessionToken: "ST"}},
	} {
		o, _ := h.invoke(t, s, 10000, call)
		if got := compact(t, o.Output); got != want {
			t.Errorf("input %s, want %s", got, want)
		}
	}
}

func TestLogsAreBoundedAndSaySo(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	h := startHarness(t, newest.Minor, newest.Path)
	s := run.Script{Runtime: h.python(), Source: "def main(input):\n    print('é' * 40000 + 'end')\n    return 'x' * 5800000\n"}
	o, r := h.invoke(t, s, 10000, Call{})
	if !o.Logs.Truncated || len(o.Logs.Stdout) != 64<<10 || strings.Contains(o.Logs.Stdout, "\ufffd") {
		t.Errorf("%d bytes of stdout, truncated %v", len(o.Logs.Stdout), o.Logs.Truncated)
	}
	if len(r.Payloads[0]) > MaxPayloadBytes || o.Status != run.Succeeded {
		t.Errorf("an answer of %d bytes: %s", len(r.Payloads[0]), o.Status)
	}
}
