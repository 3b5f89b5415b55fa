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

// Which of the two ends of an import is near, the runtime does not say.
func TestAnImportThatDoesNotEndTellsWhereItStood(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	for how, hang := range map[string]string{
		"sleeping": "import time\ntime.sleep(100)\n", "looping": "x = 1\nwhile True: pass\n", "in C": "import collections, itertools\ncollections.deque(itertools.repeat(0), maxlen=0)\n",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			h := startHarness(t, newest.Minor, newest.Path)
			h.importMS = 2000
			o, r := h.invokeWith(t, run.Script{Source: "print('so far')\n" + hang, Runtime: h.python()}, map[string]string{timeoutFile: "2"}, 2000, Call{})
			if o[0].Status != run.TimedOut || !strings.Contains(o[0].Error.Message, "It stood in script.py, line 3: ") {
				t.Errorf("%s %+v\n%+v", o[0].Status, o[0].Error, r)
			}
			if how != "in C" && o[0].Logs.Stdout != "so far\n" {
				t.Errorf("stdout %q", o[0].Logs.Stdout)
			}
		})
	}
}
