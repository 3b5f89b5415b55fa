package replay

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var sent = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestBodyIsTheLineUnderAnotherIdentity(t *testing.T) {
	e := event(t, `{"specversion":"1.0", "id":"old", "tenant":"acme", "source":"/stories/x", "colour":"red",
		"data":{"script":"def main(input):\n  return 1 < 2", "input": {"b": 1,  "a":0.10, "b":2}, "timeout_seconds":"ten"}}`)
	got := string(e.body("/replay/x", "x-000001", "", sent))
	want := `{"id":"x-000001","source":"/replay/x","specversion":"1.0","tenant":"acme","colour":"red",` +
		`"data":{"script":"def main(input):\n  return 1 < 2", "input": {"b": 1,  "a":0.10, "b":2}, "timeout_seconds":"ten"}}`
	if got != want {
		t.Errorf("sent\n%s\nnot\n%s", got, want)
	}
}

func TestTimesMoveToTheSending(t *testing.T) {
	e := event(t, `{"tenant":"acme","time":"2026-11-23T09:00:00Z","data":{"script":"x","expires_at":"2026-11-23T09:10:00Z"}}`)
	var got run.Request
	if err := json.Unmarshal(e.body("/replay/x", "x-1", "", sent), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Time.Equal(sent) || !got.Data.ExpiresAt.Equal(sent.Add(10*time.Minute)) || got.Data.Script != "x" {
		t.Errorf("sent as of %s, expiring at %s", got.Time, got.Data.ExpiresAt)
	}
}

func TestCancellationNamesTheNewIDOfWhatItCancels(t *testing.T) {
	events, err := ReadBatch(strings.NewReader(`
{"tenant":"acme","source":"/s","id":"one","data":{"script":"x"}}
{"tenant":"other","source":"/s","id":"one","data":{"script":"x"}}
{"tenant":"acme","source":"/s","id":"two","type":"scriptfleet.run.cancelled","data":{"run":"one"}}
{"tenant":"acme","source":"/s","id":"three","type":"scriptfleet.run.cancelled","data":{"run":"unheard-of"}}
`), false)
	if err != nil {
		t.Fatal(err)
	}
	if of := events[2].cancels; of == nil || *of != 0 {
		t.Fatalf("it cancels %v, not the first", of)
	}
	if of := events[3].cancels; of != nil {
		t.Errorf("a run that is not in the batch is request %d", *of)
	}
	if got := string(events[2].body("/replay/x", "x-000003", "x-000001", sent)); !strings.Contains(got, `"run":"x-000001"`) {
		t.Errorf("sent %s", got)
	}
}

func TestReadBatchNamesTheLineAtFault(t *testing.T) {
	const good = `{"tenant":"acme","data":{"script":"x"}}` + "\n"
	for _, c := range []struct{ name, batch, want string }{
		{"no JSON", good + "\n" + "tenant: acme", "line 3: no JSON object"},
		{"cut off", good + `{"tenant":"acme"`, "line 2: not JSON"},
		{"an array", good + `[]`, "line 2: no JSON object"},
		{"two on a line", good + `{"tenant":"a"}{"tenant":"b"}`, "line 2: more than one"},
		{"no tenant", good + `{"data":{}}`, "line 2: tenant is missing"},
		{"a tenant that is no text", `{"tenant":7}`, "line 1: tenant"},
		{"a tenant that none can be", `{"tenant":"Acme Inc"}`, "line 1: tenant \"Acme Inc\""},
		{"two tenants", `{"tenant":"a","tenant":"b"}`, "line 1: tenant stands twice"},
		{"no time", good + `{"tenant":"a","time":"noon"}`, "line 2: time"},
		{"no text", "\xff" + good, "line 1: not UTF-8"},
		{"nothing", "\n\n", "no request in it"},
		{"too long", good + strings.Repeat("x", maxLine+1), "line 2: longer than 32 MiB"},
	} {
		if _, err := ReadBatch(strings.NewReader(c.batch), false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", c.name, err, c.want)
		}
	}
}

func TestAnInvalidLineIsSentAsItIsWhereThatIsAllowed(t *testing.T) {
	lines := []string{
		`{"tenant":"acme","source":"/s","id":"one","time":"noon","data":{"script":"x"}}`, // names a run, so it is answered
		`{"tenant":"acme"`,
	}
	events, err := ReadBatch(strings.NewReader(strings.Join(lines, "\n")), true)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if got := string(e.body("/replay/x", "x-000001", "", sent)); got != lines[i] {
			t.Errorf("sent %s", got)
		}
	}
	plan := AtOnce(events)
	if got, want := (Naming{Label: "x"}).key(plan[0]), run.KeyOf("acme", "/s", "one"); got != want {
		t.Errorf("the first is answered as %s, not as %s", got, want)
	}
	b := newBooks(Naming{Label: "x"}, 2)
	b.begin(sent)
	b.sending(plan, sent)
	b.answered(plan, []error{nil, nil}, 0)
	b.allSent()
	rejected := answerTo(run.Request{Tenant: "acme", Source: "/s", ID: "one"})
	if !b.take(rejected, sent) {
		t.Error("its answer is taken for another's")
	}
	if r := b.report(false); r.Sent != 2 || r.Runs != 1 || r.Results != 1 || r.Unanswerable != 1 || !r.OK {
		t.Errorf("%d sent, %d runs, %d results, %d unanswerable: %q", r.Sent, r.Runs, r.Results, r.Unanswerable, r.Failure)
	}
}

// FuzzReadBatch holds that what is read can be sent, under the identity that the
// books know it by.
func FuzzReadBatch(f *testing.F) {
	for _, seed := range []string{
		`{"tenant":"acme","data":{"script":"x"}}`,
		"\n" + `{"tenant":"a","source":"/s","id":"i","time":"2026-11-23T09:00:00Z","data":{"expires_at":"2026-11-23T09:00:00Z"}}`,
		`{"tenant":"a","type":"scriptfleet.run.cancelled","data":{"run":"i"}}`,
		`{"tenant":"a","data":{"run":1,"run":null}} `, `{"tenant":"a","\u0069d":"x"}`, `{"":{},"tenant":"a"}`, `{"tenant":"a"}}`, "[\n", "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(seed))
	}
	policy, err := run.NewPolicy(run.PolicyConfig{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, batch []byte) {
		events, err := ReadBatch(strings.NewReader(string(batch)), false)
		if err != nil {
			return
		}
		for i, e := range events {
			source, id := Naming{Label: "x"}.of(Send{Event: e, Seq: i})
			body := e.body(source, id, "x-000001", sent)
			if got, _ := policy.Decode(body, sent); got.Key != run.KeyOf(e.Tenant, source, id) {
				t.Errorf("%s is run %q, not %q", body, got.Key, run.KeyOf(e.Tenant, source, id))
			}
		}
	})
}
