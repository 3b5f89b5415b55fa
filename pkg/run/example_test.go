package run_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// A story puts this body on the requests queue.
func ExampleRequest_Encode() {
	body, err := run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested,
		Source: "/stories/phishing-triage", ID: "01JD7", Tenant: "acme",
		Data: run.RequestData{Script: "def main(input): return input", Input: json.RawMessage(`{"n":1}`)},
	}.Encode()
	fmt.Println(err)
	fmt.Println(string(body))
	// Output:
	// <nil>
	// {"specversion":"1.0","type":"scriptfleet.run.requested","source":"/stories/phishing-triage","id":"01JD7","tenant":"acme","data":{"script":"def main(input): return input","input":{"n":1}}}
}

// A story reads results from the results queue.
func ExampleDecodeResult() {
	result, err := run.DecodeResult([]byte(`{"specversion":"1.0","type":"scriptfleet.run.finished","subject":"01JD7","tenant":"acme",
		"data":{"status":"succeeded","output":{"n":1},"attempt":1}}`))
	fmt.Println(err)
	fmt.Println(result.Subject, result.Data.Status, string(result.Data.Output))
	// Output:
	// <nil>
	// 01JD7 succeeded {"n":1}
}

// Runs with different inputs share a function if their tenant and script are the
// same.
func ExamplePolicy_Decode() {
	policy, _ := run.NewPolicy(run.PolicyConfig{Handler: "1"})
	decode := func(id, script string) run.Run {
		body := fmt.Sprintf(`{"tenant":"acme","source":"/stories/one","id":%q,"data":{"script":%q}}`, id, script)
		r, refused := policy.Decode([]byte(body), time.Now())
		if refused != nil {
			panic(refused)
		}
		return r
	}
	a, b, c := decode("1", "def main(input): pass"), decode("2", "def main(input): pass"), decode("3", "def main(input): return 1")
	fmt.Println("one run:", a.Key == b.Key, "one function:", a.Script.Hash == b.Script.Hash)
	fmt.Println("one function:", a.Script.Hash == c.Script.Hash)
	fmt.Println(len(run.FunctionName("scriptfleet", "acme", a.Script.Hash)) <= 64)
	// Output:
	// one run: false one function: true
	// one function: false
	// true
}
