package run

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func schema(t testing.TB, text []byte) func(body []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(body []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
}

func TestResultsFollowTheirSchema(t *testing.T) {
	valid := schema(t, resultSchema)
	r := decoded(t, PolicyConfig{}, event("id", `"1"`))
	results := []Result{finished(t), r.Rejected(refuse(InvalidField, "x", "x: mend it"), november)}
	for _, s := range Statuses {
		results = append(results, r.Result(s, november))
	}
	for _, o := range []BuildOutcome{BuildNone, BuildReused, BuildBuilt, BuildWaited, BuildBridged, BuildDidFail, BuildRememberedFailure} {
		res := r.Result(Succeeded, november)
		res.Data.Build.Outcome = o
		results = append(results, res)
	}
	for _, res := range results {
		body, err := res.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(body); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestResultSchemaKnowsNoOtherField(t *testing.T) {
	valid := schema(t, resultSchema)
	res := finished(t)
	res.Data.Error = &Error{Owner: OwnerAuthor, Type: "KeyError", Message: "m"}
	body, _ := res.Encode()
	var paths []string
	addField(t, body, "", func(path string, changed []byte) {
		paths = append(paths, path)
		inOutput := path == ".data.output"
		if err := valid(changed); (err == nil) != inOutput {
			t.Errorf("with another field in %q: %v", path, err)
		}
	})
	if len(paths) != 8 { // the event, data, output, error, logs, function, build, timings_ms
		t.Errorf("tried %v", paths)
	}
}

// addField calls try once for each object in the document, with the document
// after one more field was added to that object.
func addField(t *testing.T, body []byte, _ string, try func(path string, changed []byte)) {
	t.Helper()
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		o, ok := v.(map[string]any)
		if !ok {
			return
		}
		for name, field := range o {
			walk(path+"."+name, field)
		}
		o["surplus"] = 1
		changed, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		try(path, changed)
		delete(o, "surplus")
	}
	walk("", doc)
}

func TestWhatDecodeTakesTheSchemaTakesToo(t *testing.T) {
	valid := schema(t, requestSchema)
	for _, body := range []string{
		fullRequest, event("id", `"1"`), event("type", `"scriptfleet.script.saved"`), event("data.timeout_seconds", `10.0`), event("data.delivery", `""`), event("data.run", `null`),
		event("data.caller", `"team-b"`), byReference(`"script_ref":"phishing/extract@prod","caller":"team-b","script":null,"runtime":""`), byReference(`"script_ref":"a@abcdefghijklmnopqrstuvwxyz"`),
		`{"type":"scriptfleet.run.cancelled","tenant":"acme","source":"/s","id":"c1","data":{"run":"1","action":"stop","script":null}}`,
	} {
		decoded(t, PolicyConfig{}, body)
		if err := valid([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestWhatTheSchemaRefusesDecodeRefusesToo(t *testing.T) {
	valid, p := schema(t, requestSchema), testPolicy(t, PolicyConfig{MaxTimeoutSeconds: 900})
	values := []string{``, `null`, `""`, `"x"`, `"-x"`, `"a\u0000"`, `"a\u007f"`, `0`, `1`, `1.5`, `901`, `true`, `[]`, `{}`, `{"a":1}`, `"1.0"`, `"2026-11-23T09:00:00Z"`, `"at-most-once"`, `"python3.13"`, `"a/b@c"`, `"a//b"`, `"a@b/c"`, `"scriptfleet.run.cancelled"`, `"scriptfleet.script.saved"`}
	for _, more := range []string{`"script":"x"`, `"runtime":"python3.13"`, `"requirements":"six"`, `"timeout_seconds":5`} {
		body := []byte(byReference(`"script_ref":"a",` + more))
		if _, bad := p.Decode(body, november); bad == nil || valid(body) == nil {
			t.Errorf("%s: decode says %v, the schema %v", body, bad, valid(body))
		}
	}
	for _, field := range append(prefixed("data.", append(dataFields, "more")), append(envelopeFields, "more")...) {
		for _, value := range values {
			body := []byte(event(field, value))
			_, bad := p.Decode(body, november)
			if err := valid(body); err != nil && bad == nil {
				t.Errorf("%s: taken, though %v", body, err)
			}
		}
	}
}

func prefixed(prefix string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}
