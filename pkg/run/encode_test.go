package run

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func finished(t testing.TB) Result {
	t.Helper()
	r := decoded(t, PolicyConfig{}, fullRequest)
	res := r.Result(Succeeded, november)
	res.Data.Output = json.RawMessage(`{"ok": true}`)
	res.Data.Logs = Logs{Stdout: "<b>&\x00\x1b[0m\ufffe\uffff é\n", Stderr: "bad \xff", Truncated: true}
	res.Data.Attempt, res.Data.MayHaveExecuted = 1, true
	res.Data.Function = &FunctionInfo{ScriptHash: r.Script.Hash, EnvHash: r.Script.EnvHash, Runtime: "python3.13", ColdStart: true, MaxMemoryMB: 41, BilledMS: 12}
	leader := "worker-1"
	res.Data.Build = BuildInfo{Outcome: BuildWaited, WaitedOn: &leader}
	res.Data.Timings, res.Data.Warning = Timings{Execute: 11, Total: 11}, "the runtime is old"
	return res
}

func TestOutputStandsInTheResultByteForByte(t *testing.T) {
	for _, output := range []string{
		`null`, `"x"`, `7`, `[ ]`, `{ "b" :1,  "a":2 }`, "{\n\t\"a\" : [1 , 2]\r\n}", `123456789012345678901234567890`, `0.1000000000000000055511151231257827`, `1E400`, `-0.0`,
		`"<script>&amp;</script>"`, `"é😀\u00e9\ud83d\ude00\u2028"`, "\"\u2028\u2029\"", `"\ud800"`, `"\/\b\f"`, `{"a":1,"a":2}`, `{"output":null,"error":{"output":null}}`,
	} {
		res := finished(t)
		res.Data.Action = `"output":null`
		res.Data.Output = json.RawMessage(output)
		body, err := res.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(body, []byte(`"output":`+output+`,"error":null`)) {
			t.Errorf("%s became %s", output, body)
		}
		back, err := DecodeResult(body)
		if err != nil || string(back.Data.Output) != output || back.Data.Action != `"output":null` {
			t.Errorf("%s was read as %s, %v", output, back.Data.Output, err)
		}
	}
}

func TestResultSurvivesItsEncoding(t *testing.T) {
	want := finished(t)
	body, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeResult(body)
	if err != nil {
		t.Fatal(err)
	}
	want.Data.Logs.Stderr = "bad \ufffd"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestResultCarriesNoCharacterThatQueuesRefuse(t *testing.T) {
	res := finished(t)
	res.Data.Output = json.RawMessage("\"\ufffe\uffff\\\\\ufffe\"")
	body, err := res.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range string(body) {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			t.Fatalf("%U is in %s", r, body)
		}
	}
	back, _ := DecodeResult(body)
	var output string
	if err := json.Unmarshal(back.Data.Output, &output); err != nil || output != "\ufffe\uffff\\\ufffe" {
		t.Errorf("output is now %q, %v", output, err)
	}
	if bytes.Contains(body, []byte(`\u003c`)) || bytes.HasSuffix(body, []byte("\n")) {
		t.Errorf("escaped for HTML, or with a newline at its end: %s", body)
	}
}

func TestOutputThatIsNoJSONCannotWriteFieldsOfTheResult(t *testing.T) {
	for _, output := range []string{`null},"tenant":"beta","x":{"a":1`, `{`, `NaN`, "\"\xff\"", ` `} {
		res := finished(t)
		res.Data.Output = json.RawMessage(output)
		if body, err := res.Encode(); err == nil {
			t.Errorf("%q became %s", output, body)
		}
	}
}

func TestRejectedRequestIsAnsweredToWhoSentIt(t *testing.T) {
	r, bad := testPolicy(t, PolicyConfig{}).Decode([]byte(event("data.timeout_seconds", `"ten"`)), november)
	if bad == nil {
		t.Fatal("was taken")
	}
	res := r.Rejected(bad, november.In(time.FixedZone("", 3600)))
	if res.Tenant != "acme" || res.Subject != "1" || res.ID != r.Key || res.Data.Story != "/s" || res.Data.Status != Rejected || res.Data.Error != bad || res.Type != TypeFinished {
		t.Errorf("%+v", res)
	}
	body, err := res.Encode()
	if err != nil || !strings.Contains(string(body), `"time":"2026-11-23T09:00:00Z"`) || !strings.Contains(string(body), `"output":null,"error":{"owner":"author","type":"InvalidTimeout"`) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestDecodeResultRefusesOtherEvents(t *testing.T) {
	for _, body := range []string{"", "{}", fullRequest, `{"type":7}`} {
		if _, err := DecodeResult([]byte(body)); err == nil {
			t.Errorf("%.20q was taken", body)
		}
	}
}

func TestRequestSurvivesItsEncoding(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	want := decoded(t, PolicyConfig{}, fullRequest)
	body, err := want.Request.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, bad := p.Decode(body, november)
	if bad != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", bad, got, want)
	}
	want.Data.Input = json.RawMessage(`{} , "tenant":"beta"`)
	if body, err := want.Request.Encode(); err == nil {
		t.Errorf("input that is no JSON became %s", body)
	}
}
