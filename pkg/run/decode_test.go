package run

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var november = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func testPolicy(t testing.TB, c PolicyConfig) *Policy {
	t.Helper()
	p, err := NewPolicy(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const fullRequest = `{ "specversion": "1.0", "type": "scriptfleet.run.requested",
  "source": "/stories/phishing-triage", "id": "01JD", "time": "2026-11-23T09:00:00Z",
  "tenant": "acme", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "data": { "action": "extract_iocs", "runtime": "python3.13",
            "script": "import requests\ndef main(input):\n    return \"\u00e9\ud83d\ude00<&>\"",
            "requirements": "requests==2.32.3\n",
            "input": { "url" : "https://example.org", "n": 12345678901234567890.10 },
            "timeout_seconds": 15,
            "credential": "aws-prod",
            "delivery": "at-most-once",
            "expires_at": "2026-11-23T09:10:00Z" } }`

// event returns a request with one field of the envelope or of data set to a
// JSON value. An empty value leaves the field out.
func event(path, value string) string {
	top := map[string]json.RawMessage{"tenant": json.RawMessage(`"acme"`), "source": json.RawMessage(`"/s"`), "id": json.RawMessage(`"1"`)}
	data := map[string]json.RawMessage{"script": json.RawMessage(`"def main(input): pass"`)}
	at, name := top, path
	if n, ok := strings.CutPrefix(path, "data."); ok {
		at, name = data, n
	}
	if at[name] = json.RawMessage(value); value == "" {
		delete(at, name)
	}
	if _, ok := top["data"]; !ok && path != "data" {
		top["data"] = object(data)
	}
	return string(object(top))
}

func object(fields map[string]json.RawMessage) json.RawMessage {
	var parts []string
	for k, v := range fields {
		parts = append(parts, fmt.Sprintf("%q:%s", k, v))
	}
	return json.RawMessage("{" + strings.Join(parts, ",") + "}")
}

func TestDecodeReadsEveryField(t *testing.T) {
	r, bad := testPolicy(t, PolicyConfig{}).Decode([]byte(fullRequest), november)
	if bad != nil {
		t.Fatal(bad)
	}
	if r.Type != TypeRequested || r.Tenant != "acme" || r.Source != "/stories/phishing-triage" || r.ID != "01JD" ||
		!r.Time.Equal(november) || !strings.HasPrefix(r.Traceparent, "00-4bf") {
		t.Errorf("envelope: %+v", r.Request)
	}
	d := r.Data
	if d.Action != "extract_iocs" || d.Credential != "aws-prod" || d.Delivery != AtMostOnce ||
		!d.ExpiresAt.Equal(november.Add(10*time.Minute)) {
		t.Errorf("data: %+v", d)
	}
	if want := `{ "url" : "https://example.org", "n": 12345678901234567890.10 }`; string(r.Data.Input) != want {
		t.Errorf("input is %s, want the very bytes %s", r.Data.Input, want)
	}
	s := r.Script
	if want := "import requests\ndef main(input):\n    return \"é😀<&>\""; s.Source != want {
		t.Errorf("script is %q, want %q", s.Source, want)
	}
	if s.Tenant != "acme" || s.Runtime.Lambda != "python3.13" || s.Requirements != "requests==2.32.3" || s.TimeoutSeconds != 15 || s.MemoryMB != 256 {
		t.Errorf("script: %+v", s)
	}
	if r.Key != KeyOf("acme", "/stories/phishing-triage", "01JD") || len(s.EnvHash) != 26 || len(s.Hash) != 26 {
		t.Errorf("identities: %q %q %q", r.Key, s.EnvHash, s.Hash)
	}
}

func TestDecodeFillsInTheDefaults(t *testing.T) {
	bodies := map[string]string{
		"nothing set": event("id", `"1"`),
		"nulls": `{"specversion":null,"type":null,"time":null,"subject":null,"tenant":"acme","source":"/s","id":"1","data":{"script":"def main(input): pass",
			"action":null,"runtime":null,"requirements":null,"input":null,"timeout_seconds":null,"credential":null,"delivery":null,"expires_at":null,"run":null}}`,
	}
	for name, body := range bodies {
		r, bad := testPolicy(t, PolicyConfig{}).Decode([]byte(body), november)
		if bad != nil {
			t.Fatal(name, bad)
		}
		if r.Type != TypeRequested || r.SpecVersion != "1.0" || len(r.Data.Input) != 0 ||
			r.Script.TimeoutSeconds != 10 || r.Script.Runtime.Name != "python3.13" || r.Script.EnvHash != "" || r.Expired(november) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestDecodeNamesTheFieldAtFault(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	nul := `"def main(input):\u0000 pass"`
	for _, c := range []struct{ field, value, kind string }{
		{"specversion", `"0.3"`, InvalidSpecVersion},
		{"specversion", `1.0`, InvalidSpecVersion},
		{"type", `"com.example.created"`, InvalidType},
		{"type", `"scriptfleet.run.finished"`, InvalidType},
		{"type", `7`, InvalidType},
		{"priority", `1`, UnknownField},
		{"Tenant", `"acme"`, UnknownField},
		{"data.timeout", `10`, UnknownField},
		{"data.Script", `"x"`, UnknownField},
		{"data.run", `"01JD"`, UnknownField},
		{"tenant", ``, MissingField},
		{"tenant", `null`, MissingField},
		{"source", ``, MissingField},
		{"id", ``, MissingField},
		{"data.script", ``, MissingField},
		{"data.script", `null`, MissingField},
		{"data.script_ref", `7`, InvalidReference},
		{"data.caller", `[]`, InvalidCaller},
		{"data.caller", `"a\n"`, InvalidCaller},
		{"data", `[]`, InvalidData},
		{"data", `"{}"`, InvalidData},
		{"tenant", `""`, InvalidTenant},
		{"tenant", `"Acme"`, InvalidTenant},
		{"tenant", `"-acme"`, InvalidTenant},
		{"tenant", `"acme_corp"`, InvalidTenant},
		{"tenant", `"acme\n"`, InvalidTenant},
		{"tenant", `"ácme"`, InvalidTenant},
		{"tenant", `5`, InvalidTenant},
		{"tenant", `"` + strings.Repeat("a", 64) + `"`, InvalidTenant},
		{"source", `""`, InvalidSource},
		{"source", `"/s\u0007"`, InvalidSource},
		{"source", `"` + strings.Repeat("a", 513) + `"`, InvalidSource},
		{"id", `""`, InvalidID},
		{"id", `"a\u0085b"`, InvalidID},
		{"id", `12`, InvalidID},
		{"id", `"` + strings.Repeat("a", 257) + `"`, InvalidID},
		{"time", `"yesterday"`, InvalidTime},
		{"time", `1732352400`, InvalidTime},
		{"subject", `{}`, InvalidField},
		{"traceparent", `"00-\n"`, InvalidField},
		{"datacontenttype", `"text/xml"`, InvalidField},
		{"data.action", `3`, InvalidField},
		{"data.timeout_seconds", `0`, InvalidTimeout},
		{"data.timeout_seconds", `61`, InvalidTimeout},
		{"data.timeout_seconds", `-1`, InvalidTimeout},
		{"data.timeout_seconds", `1.5`, InvalidTimeout},
		{"data.timeout_seconds", `1e999`, InvalidTimeout},
		{"data.timeout_seconds", `4294967306`, InvalidTimeout},
		{"data.timeout_seconds", `"ten"`, InvalidTimeout},
		{"data.timeout_seconds", `"10"`, InvalidTimeout},
		{"data.timeout_seconds", `true`, InvalidTimeout},
		{"data.input", `[1]`, InvalidInput},
		{"data.input", `"x"`, InvalidInput},
		{"data.input", `7`, InvalidInput},
		{"data.input", `{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`, InvalidInput},
		{"data.input", `{"a":` + strings.Repeat("9", 4301) + `}`, InvalidInput},
		{"data.input", `{"a":"` + strings.Repeat("x", MaxInputBytes) + `"}`, InvalidInput},
		{"data.script", nul, InvalidScript},
		{"data.script", `""`, InvalidScript},
		{"data.script", `" \n\t"`, InvalidScript},
		{"data.script", `["x"]`, InvalidScript},
		{"data.script", `"` + strings.Repeat("x", MaxScriptBytes+1) + `"`, InvalidScript},
		{"data.script", "\"def main(input): \xff\"", InvalidUTF8},
		{"data.script", `"def main(input): '\ud800'"`, InvalidUTF8},
		{"data.script", `"def main(input): '\udc00\ud800'"`, InvalidUTF8},
		{"data.script", `"def main(input): '\ud83d\u0041'"`, InvalidUTF8},
		{"data.input", "{\"a\":\"\xc3\"}", InvalidUTF8},
		{"data.runtime", `"python2.7"`, UnknownRuntime},
		{"data.runtime", `"Python3.13"`, UnknownRuntime},
		{"data.runtime", `313`, UnknownRuntime},
		{"data.runtime", `"python3.9"`, RetiredRuntime},
		{"data.runtime", `"python3.10"`, RetiredRuntime},
		{"data.delivery", `"exactly-once"`, InvalidDelivery},
		{"data.delivery", `1`, InvalidDelivery},
		{"data.expires_at", `"soon"`, InvalidTime},
		{"data.expires_at", `"2026-11-23"`, InvalidTime},
		{"data.expires_at", `"2026-11-23T09:00:00,5Z"`, InvalidTime},
		{"data.expires_at", `"2026-11-23T9:00:00Z"`, InvalidTime},
		{"data.expires_at", `"2026-11-23T09:00:00+24:00"`, InvalidTime},
		{"data.expires_at", `"2026-02-30T09:00:00Z"`, InvalidTime},
		{"data.credential", `"a\u0000b"`, InvalidCredential},
		{"data.requirements", `["requests"]`, InvalidRequirement},
		{"data.requirements", `"requests==\n"`, InvalidRequirement},
		{"data.requirements", `"` + strings.Repeat("a\\n", MaxRequirementsBytes) + `"`, InvalidRequirement},
		{"data.requirements", `"--index-url https://example.org"`, UnsafeRequirement},
	} {
		t.Run(fmt.Sprintf("%s=%.30s", c.field, c.value), func(t *testing.T) {
			_, bad := p.Decode([]byte(event(c.field, c.value)), november)
			if bad == nil {
				t.Fatal("was taken")
			}
			if bad.Type != c.kind || bad.Field != c.field || bad.Owner != OwnerAuthor || bad.Retryable {
				t.Errorf("got %s for %q (%s), want %s for %q", bad.Type, bad.Field, bad.Message, c.kind, c.field)
			}
			if !strings.Contains(bad.Message, c.field) || len(bad.Message) > 500 {
				t.Errorf("message does not name the field, or is too long: %s", bad.Message)
			}
		})
	}
}

func TestDecodeRefusesWhatIsNotOneJSONObject(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	for _, body := range []string{"", " ", "hello", "{", "[]", "null", `"x"`, "7", fullRequest + "x", fullRequest + fullRequest, fullRequest[:len(fullRequest)-1],
		"\ufeff" + fullRequest, "{'tenant':'acme'}", `{"tenant":"acme",}`, `{"a":NaN}`, "{\"a\":\"\n\"}"} {
		r, bad := p.Decode([]byte(body), november)
		if bad == nil || bad.Type != InvalidJSON {
			t.Errorf("%.20q: got %v", body, bad)
		}
		if r.Attributable() || r.Key != "" {
			t.Errorf("%.20q: attributed to %q, though nothing of it can be trusted", body, r.Tenant)
		}
	}
}

func TestDecodeRefusesAFieldThatStandsTwice(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	for _, c := range []struct {
		field, body  string
		attributable bool
	}{
		{"tenant", `{"tenant":"acme","source":"/s","id":"1","data":{"script":"x"},"tenant":"beta"}`, false},
		{"source", `{"tenant":"acme","source":"/s","id":"1","data":{"script":"x"},"source":"/t"}`, false},
		{"id", `{"tenant":"acme","source":"/s","id":"1","data":{"script":"x"},"i\u0064":"2"}`, false},
		{"data", `{"tenant":"acme","source":"/s","id":"1","data":{"script":"x"},"data":{"script":"y"}}`, true},
		{"data.script", `{"tenant":"acme","source":"/s","id":"1","data":{"script":"x","script":"y"}}`, true},
	} {
		r, bad := p.Decode([]byte(c.body), november)
		if bad == nil || bad.Type != DuplicateField || bad.Field != c.field {
			t.Errorf("%s: got %v", c.field, bad)
		}
		if r.Attributable() != c.attributable {
			t.Errorf("%s: attributable = %v", c.field, r.Attributable())
		}
	}
}

func TestDecodeTellsWhoseARefusedRequestIs(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	for _, body := range []string{event("data.timeout_seconds", "0"), event("type", `"other"`), event("aaa", "1"), event("zzz", "1"), event("data", "7")} {
		r, bad := p.Decode([]byte(body), november)
		if bad == nil || !r.Attributable() || r.Key != KeyOf("acme", "/s", "1") {
			t.Errorf("%s: %v, attributable %v, key %q", body, bad, r.Attributable(), r.Key)
		}
	}
	for _, field := range []string{"tenant", "source", "id"} {
		for _, value := range []string{"", "5", `"\u0000"`} {
			r, bad := p.Decode([]byte(event(field, value)), november)
			if bad == nil || r.Attributable() || r.Key != "" {
				t.Errorf("%s=%s: %v, attributable %v", field, value, bad, r.Attributable())
			}
		}
	}
}

func TestDecodeSaysFirstThatTheEventIsOfAnotherKind(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	_, bad := p.Decode([]byte(`{"bucket":"b","type":"com.example.created","data":{"x":1}}`), november)
	if bad == nil || bad.Type != InvalidType {
		t.Errorf("got %v", bad)
	}
}

func TestCancellationNamesTheRunItCancels(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	r, bad := p.Decode([]byte(`{"type":"scriptfleet.run.cancelled","tenant":"acme","source":"/s","id":"c1","data":{"run":"1","action":"stop"}}`), november)
	if bad != nil {
		t.Fatal(bad)
	}
	if r.Key != KeyOf("acme", "/s", "c1") || r.CancelsKey() != KeyOf("acme", "/s", "1") || r.Script != (Script{}) {
		t.Errorf("%+v", r)
	}
	for data, want := range map[string][2]string{
		`{}`:                       {MissingField, "data.run"},
		`{"run":""}`:               {InvalidID, "data.run"},
		`{"run":"1","script":"x"}`: {UnknownField, "data.script"},
		`{"run":"1","input":{}}`:   {UnknownField, "data.input"},
		`{"run":"` + strings.Repeat("a", 300) + `"}`: {InvalidID, "data.run"},
	} {
		_, bad := p.Decode([]byte(`{"type":"scriptfleet.run.cancelled","tenant":"acme","source":"/s","id":"c1","data":`+data+`}`), november)
		if bad == nil || bad.Type != want[0] || bad.Field != want[1] {
			t.Errorf("%.40s: got %v, want %v", data, bad, want)
		}
	}
}

func TestSavedScriptIsTheFunctionThatRunsOfItNeed(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	saved, bad := p.Decode([]byte(event("type", `"scriptfleet.script.saved"`)), november)
	if bad != nil {
		t.Fatal(bad)
	}
	asked, _ := p.Decode([]byte(event("data.input", `{"a":1}`)), november)
	if saved.Script != asked.Script {
		t.Errorf("saved %+v, asked for %+v", saved.Script, asked.Script)
	}
	_, bad = p.Decode([]byte(`{"type":"scriptfleet.script.saved","tenant":"acme","source":"/s","id":"1","data":{"input":{}}}`), november)
	if bad == nil || bad.Type != MissingField || bad.Field != "data.script" {
		t.Errorf("without a script: %v", bad)
	}
}

func TestRequestExpiresAtTheTimeItNames(t *testing.T) {
	r, bad := testPolicy(t, PolicyConfig{}).Decode([]byte(fullRequest), november)
	if bad != nil || r.Expired(november.Add(10*time.Minute-1)) || !r.Expired(november.Add(10*time.Minute)) {
		t.Errorf("%v, expires at %v", bad, r.Data.ExpiresAt)
	}
}
