package replay

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// batch is what a recorder writes, and the events that a replay reads of it.
func batch(t *testing.T, r *Recorder) (string, []*Event) {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	events, err := ReadBatch(strings.NewReader(b.String()), false)
	if err != nil {
		t.Fatalf("%v: %s", err, b.String())
	}
	return b.String(), events
}

func TestRequestsAreRecordedOnceInTheOrderOfTheirTimes(t *testing.T) {
	r := &Recorder{}
	for i, c := range []struct {
		body string
		kept bool
	}{
		{"{\"tenant\":\"acme\",\"source\":\"/s\",\"id\":\"late\",\"time\":\"2026-11-29T13:00:00Z\",\n\"data\":{\"script\":\"x\"}}", true},
		{`{"tenant":"acme","source":"/s","id":"early","data":{"script":"y"},"unknown":1}`, true},
		{`{"tenant":"acme","source":"/s","id":"early","data":{"script":"z"}}`, false},
		{`{"tenant":"acme","source":"/s","data":{}}`, false},
		{`junk`, false},
	} {
		if kept, err := r.Request([]byte(c.body), sent); err != nil || kept != c.kept {
			t.Errorf("%d: recorded %t, %v", i, kept, err)
		}
	}
	text, events := batch(t, r)
	if len(events) != 2 || events[0].id != "early" || !events[0].time.Equal(sent) || events[1].id != "late" {
		t.Errorf("the batch is %s", text)
	}
	if !strings.Contains(text, `"unknown":1`) {
		t.Error("a field is gone, which the fleet would have refused")
	}
	if plan, err := Recorded(events, 1); err != nil || len(plan) != 2 || plan[1].At <= 0 {
		t.Errorf("it can't be replayed at its own pace: %v", err)
	}
}

func TestRedactedInputsKeepTheirShapeAlone(t *testing.T) {
	r := &Recorder{Redact: true}
	const body = `{"tenant":"acme","source":"/s","id":"1","data":{"script":"keep","input":{"a":"sécret","n":12.5e3,"ok":true,"no":null,"l":["x",[-1],{"b":"\u0000y"}]}}}`
	if _, err := r.Request([]byte(body), sent); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Request([]byte(`{"tenant":"acme","source":"/s","id":"2","data":"secret"}`), sent); err != nil {
		t.Fatal(err)
	}
	text, _ := batch(t, r)
	for _, want := range []string{`"script":"keep","input":{"a":"xxxxxx","n":0,"ok":true,"no":null,"l":["x",[0],{"b":"xx"}]}`, `"data":"xxxxxx"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the batch has no %s: %s", want, text)
		}
	}
}

func TestResultsBecomeScriptsThatSleepAsLong(t *testing.T) {
	result := func(id, hash string, status run.Status, execute int64) string {
		res := answerTo(run.Request{Tenant: "acme", Source: "/stories/a", ID: id})
		res.Time, res.Data.Status, res.Data.Action = sent.Add(time.Second), status, "act"
		res.Data.Timings = run.Timings{Queue: 1000 - execute, Execute: execute, Total: 1000}
		res.Data.Function = &run.FunctionInfo{ScriptHash: run.ScriptHash(hash)}
		body, err := res.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(body) + "\n"
	}
	r := &Recorder{}
	in := result("1", "h1", run.Succeeded, 250) + "\n" + result("2", "h1", run.Succeeded, 750) + result("3", "h2", run.Failed, 5) + result("1", "h1", run.Succeeded, 250)
	if err := r.Results(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	text, events := batch(t, r)
	var got []run.Request
	for line := range strings.Lines(text) {
		var q run.Request
		if err := json.Unmarshal([]byte(line), &q); err != nil {
			t.Fatal(err)
		}
		got = append(got, q)
	}
	if len(got) != 3 || got[0].ID != "1" || got[0].Source != "/stories/a" || !events[0].time.Equal(sent) {
		t.Fatalf("the batch is %s", text)
	}
	if string(got[0].Data.Input) != `{"sleep_seconds":0.25}` || got[0].Data.Script != got[1].Data.Script || got[1].Data.Script == got[2].Data.Script || !strings.Contains(got[2].Data.Script, "raise") {
		t.Errorf("the batch is %s", text)
	}
	if err := r.Results(strings.NewReader("junk\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("of junk: %v", err)
	}
	if err := (&Recorder{}).Write(nil); err == nil {
		t.Error("an empty batch is written")
	}
}

func FuzzRedacted(f *testing.F) {
	f.Add(`{"a":["b",1,null,true,{}]}`)
	f.Fuzz(func(t *testing.T, value string) {
		if !json.Valid([]byte(value)) {
			return
		}
		got, err := redacted([]byte(value))
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		var is any
		if err := json.Unmarshal(got, &is); err != nil {
			t.Fatalf("%s became %s", value, got)
		}
		bare(t, is)
		again, err := redacted(got)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s, redacted again, is %s, %v", got, again, err)
		}
	})
}

// bare fails if a value holds a text or a number of its own.
func bare(t *testing.T, v any) {
	switch v := v.(type) {
	case string:
		if strings.Trim(v, "x") != "" {
			t.Errorf("%q is left", v)
		}
	case float64:
		if v != 0 {
			t.Errorf("%g is left", v)
		}
	case []any:
		for _, one := range v {
			bare(t, one)
		}
	case map[string]any:
		for _, one := range v {
			bare(t, one)
		}
	case bool, nil:
	default:
		t.Errorf("%s is left", reflect.TypeOf(v))
	}
}
