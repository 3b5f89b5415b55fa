package run

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestTheAsyncAPIDocumentFollowsItsSchema(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", ".tools", "asyncapi.json"))
	if err != nil {
		t.Fatalf("make setup installs the schema: %v", err)
	}
	if err := schema(t, text)(asyncAPI(t)); err != nil {
		t.Error(err)
	}
}

// Each reference within the document must lead to something, and each other one
// to a schema beside it.
func TestTheAsyncAPIDocumentsReferencesLeadSomewhere(t *testing.T) {
	doc := unmarshal(t, asyncAPI(t))
	found := map[string]bool{}
	references(doc, func(ref string) {
		found[ref] = true
		if path, within := strings.CutPrefix(ref, "#/"); within {
			at := doc
			for name := range strings.SplitSeq(path, "/") {
				o, _ := at.(map[string]any)
				at = o[name]
			}
			if at == nil {
				t.Errorf("%s leads to nothing", ref)
			}
		} else if _, err := os.Stat(ref); err != nil {
			t.Error(err)
		}
	})
	for _, schema := range []string{"request.schema.json", "result.schema.json"} {
		if !found[schema] {
			t.Errorf("nothing refers to %s", schema)
		}
	}
}

func TestTheAsyncAPIDocumentsExamplesFollowTheSchemas(t *testing.T) {
	var doc struct {
		Components struct {
			Messages map[string]struct {
				Examples []struct {
					Name    string
					Payload json.RawMessage
				}
			}
		}
	}
	if err := json.Unmarshal(asyncAPI(t), &doc); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"request": requestSchema, "result": resultSchema} {
		valid := schema(t, text)
		examples := doc.Components.Messages[name].Examples
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, e := range examples {
			if err := valid(e.Payload); err != nil {
				t.Errorf("%s %s: %v", name, e.Name, err)
			}
			if name == "request" {
				decoded(t, PolicyConfig{}, string(e.Payload))
			}
		}
	}
}

func asyncAPI(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unmarshal(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// references calls found with each $ref in v.
func references(v any, found func(ref string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			references(e, found)
		}
	case map[string]any:
		for name, e := range v {
			if ref, ok := e.(string); ok && name == "$ref" {
				found(ref)
			}
			references(e, found)
		}
	}
}
