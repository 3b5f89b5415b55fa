package fleettest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const plain = `{"script":"def main(input): return 1"}`

// refused are requests with a valid identity that break a rule.
var refused = []struct{ name, body, kind, field string }{
	{"another-type", strings.Replace(event("acme", "another-type", plain), "run.requested", "run.wished", 1), run.InvalidType, "type"},
	{"another-specversion", strings.Replace(event("acme", "another-specversion", plain), `"1.0"`, `"0.3"`, 1), run.InvalidSpecVersion, "specversion"},
	{"specversion-is-a-number", strings.Replace(event("acme", "specversion-is-a-number", plain), `"1.0"`, `1.0`, 1), run.InvalidSpecVersion, "specversion"},
	{"unknown-attribute", strings.Replace(event("acme", "unknown-attribute", plain), `"source"`, `"priority":1,"source"`, 1), run.UnknownField, "priority"},
	{"unknown-field", event("acme", "unknown-field", `{"scirpt":"x","script":"def main(input): return 1"}`), run.UnknownField, "data.scirpt"},
	{"no-script", event("acme", "no-script", `{"runtime":"python3.13"}`), run.MissingField, "data.script"},
	{"data-is-an-array", event("acme", "data-is-an-array", `[]`), run.InvalidData, "data"},
	{"field-twice", event("acme", "field-twice", `{"script":"def main(input): return 1","script":"def main(input): return 2"}`), run.DuplicateField, "data.script"},
	{"timeout-0", event("acme", "timeout-0", `{"script":"def main(input): return 1","timeout_seconds":0}`), run.InvalidTimeout, "data.timeout_seconds"},
	{"timeout-61", event("acme", "timeout-61", `{"script":"def main(input): return 1","timeout_seconds":61}`), run.InvalidTimeout, "data.timeout_seconds"},
	{"timeout-ten", event("acme", "timeout-ten", `{"script":"def main(input): return 1","timeout_seconds":"ten"}`), run.InvalidTimeout, "data.timeout_seconds"},
	{"input-is-an-array", event("acme", "input-is-an-array", `{"script":"def main(input): return 1","input":[1]}`), run.InvalidInput, "data.input"},
	{"input-is-a-string", event("acme", "input-is-a-string", `{"script":"def main(input): return 1","input":"{}"}`), run.InvalidInput, "data.input"},
	{"script-with-nul", event("acme", "script-with-nul", `{"script":"def main(input): return '\u0000'"}`), run.InvalidScript, "data.script"},
	{"half-a-surrogate-pair", event("acme", "half-a-surrogate-pair", `{"script":"def main(input): return '\ud83d'"}`), run.InvalidUTF8, "data.script"},
	{"retired-runtime", request("retired-runtime", Data{Script: "x", Runtime: "python3.9"}), run.RetiredRuntime, "data.runtime"},
	{"unknown-runtime", request("unknown-runtime", Data{Script: "x", Runtime: "python2.7"}), run.UnknownRuntime, "data.runtime"},
	{"requirement-is-a-sentence", request("requirement-is-a-sentence", Data{Script: "x", Requirements: "the newest requests, please"}), run.InvalidRequirement, "data.requirements"},
	{"requirement-is-an-option-r", request("requirement-is-an-option-r", Data{Script: "x", Requirements: "-r /etc/passwd"}), run.UnsafeRequirement, "data.requirements"},
	{"requirement-is-an-index", request("requirement-is-an-index", Data{Script: "x", Requirements: "--index-url http://127.0.0.1/simple\nidna"}), run.UnsafeRequirement, "data.requirements"},
	{"requirement-is-an-option-e", request("requirement-is-an-option-e", Data{Script: "x", Requirements: "-e ."}), run.UnsafeRequirement, "data.requirements"},
	{"requirement-is-a-path", request("requirement-is-a-path", Data{Script: "x", Requirements: "../idna"}), run.UnsafeRequirement, "data.requirements"},
	{"requirement-is-a-wheel", request("requirement-is-a-wheel", Data{Script: "x", Requirements: "idna-3.10-py3-none-any.whl"}), run.UnsafeRequirement, "data.requirements"},
	{"requirement-is-a-repository", request("requirement-is-a-repository", Data{Script: "x", Requirements: "git+https://example.com/idna.git"}), run.UnsafeRequirement, "data.requirements"},
	{"requirement-is-at-an-address", request("requirement-is-at-an-address", Data{Script: "x", Requirements: "idna @ https://example.com/idna.whl"}), run.UnsafeRequirement, "data.requirements"},
}

// nobodys are requests without an identity that a result could name.
var nobodys = []struct{ name, body, kind string }{
	{"not JSON", "run my script, please", run.InvalidJSON},
	{"half of a JSON", event("acme", "half", plain)[:80], run.InvalidJSON},
	{"an array", "[" + event("acme", "in-an-array", plain) + "]", run.InvalidJSON},
	{"no tenant", strings.Replace(event("acme", "no-tenant", plain), `"tenant":"acme",`, "", 1), run.MissingField},
	{"no id", strings.Replace(event("acme", "no-id", plain), `"id":"no-id",`, "", 1), run.MissingField},
	{"no source", strings.Replace(event("acme", "no-source", plain), `"source":"/stories/test",`, "", 1), run.MissingField},
	{"a tenant in capitals", event("Acme", "capitals", plain), run.InvalidTenant},
	{"a tenant with a hyphen in front", event("-acme", "hyphen", plain), run.InvalidTenant},
	{"a tenant of 64 characters", event(strings.Repeat("a", 64), "long", plain), run.InvalidTenant},
	{"a tenant with a path", event("acme/../globex", "path", plain), run.InvalidTenant},
	{"two tenants", strings.Replace(event("acme", "two", plain), `"id"`, `"tenant":"globex","id"`, 1), run.DuplicateField},
}

func TestEveryBadRequestEndsInOneResultOrOnTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	for _, c := range refused {
		f.send(c.body)
	}
	for _, c := range nobodys {
		f.send(c.body)
	}
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			res := f.Await(t, c.name)
			checkError(t, res, run.Rejected, run.OwnerAuthor, c.kind)
			if !strings.Contains(res.Data.Error.Message, c.field) {
				t.Errorf("the message does not name %s: %s", c.field, res.Data.Error.Message)
			}
			if res.Data.MayHaveExecuted || string(res.Data.Output) != "null" {
				t.Errorf("a refused run has not executed: %s", res.Body)
			}
		})
	}
	t.Run("what is nobody's is buried and counted", f.checkBuried)
	f.goesOn(t)
	f.checkOnce(t, len(refused)+1)
}

// checkError checks a run's status and error, and that its result is complete.
func checkError(t *testing.T, res Arrival, status run.Status, owner run.Owner, kind string) {
	t.Helper()
	e := res.Data.Error
	if res.Data.Status != status || e == nil || e.Owner != owner || e.Type != kind {
		t.Errorf("the result is not %s, %s, %s: %.4000s", status, owner, kind, res.Body)
		return
	}
	if e.Message == "" || res.Attributes[run.AttributeStatus] != string(status) || res.Attributes[run.AttributeTenant] != res.Tenant {
		t.Errorf("the result lacks its message or its attributes (%v): %.4000s", res.Attributes, res.Body)
	}
	if d := res.Data.Timings; d.Intake+d.Queue+d.BuildWait+d.Build+d.Init+d.Execute+d.Publish != d.Total {
		t.Errorf("the timings do not add up: %+v", d)
	}
}

// checkBuried checks the dead-letter queue, and the dispatcher's counter.
func (f *fleet) checkBuried(t *testing.T) {
	kinds := map[string]string{} // by body
	eventually(t, "not all that is nobody's is on the dead-letter queue", func() bool {
		ds, err := f.Dead.Receive(t.Context(), queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if d.Attributes[run.AttributeReason] == "" {
				t.Errorf("a dead letter without a reason: %s", d.Body)
			}
			if _, again := kinds[string(d.Body)]; again {
				t.Errorf("a dead letter came twice: %s", d.Body)
			}
			kinds[string(d.Body)] = d.Attributes[run.AttributeErrorType]
		}
		// One whose answer was lost on its way is received again; the others are not.
		if err := errors.Join(f.Dead.Delete(t.Context(), ds)...); err != nil {
			t.Fatal(err)
		}
		return len(kinds) >= len(nobodys)
	})
	for _, c := range nobodys {
		if kinds[c.body] != c.kind {
			t.Errorf("%s: its dead letter says %q, not %s", c.name, kinds[c.body], c.kind)
		}
	}
	eventually(t, "the buried requests are not counted", func() bool {
		return metric(t, f.local.Admin(), `scriptfleet_dispatcher_handled_total{outcome="buried"}`) == float64(len(nobodys))
	})
}

// checkOnce checks that this many requests have exactly one result each.
func (f *fleet) checkOnce(t *testing.T, requests int) {
	t.Helper()
	ids := f.Subjects()
	if len(ids) != requests {
		t.Errorf("%d requests have a result, not %d: %q", len(ids), requests, ids)
	}
	for _, id := range ids {
		if n := len(f.Results(id)); n != 1 {
			t.Errorf("%s has %d results", id, n)
		}
	}
}

func TestCancellationOfARunThatIsNotKnownSaysSo(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	f.send(Cancel("acme", "c", "not-there"))
	res := f.Await(t, "c")
	if want := `{"cancelled":false,"run":"not-there","state":"unknown"}`; res.Data.Status != run.Succeeded || string(res.Data.Output) != want {
		t.Errorf("the answer is %s, %s, want %s", res.Data.Status, res.Data.Output, want)
	}
	f.send(request("not-there", Data{Script: "def main(input): return 1"}))
	if res := f.Await(t, "not-there"); res.Data.Status != run.Cancelled || res.Data.MayHaveExecuted {
		t.Errorf("the run that comes after its cancellation: %s", res.Body)
	}
}
