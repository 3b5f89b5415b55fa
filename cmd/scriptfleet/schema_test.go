package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var update = flag.Bool("update", false, "rewrite the schemas")

// outputs are the objects that commands print with --json.
var outputs = map[string]any{
	"check": books{}, "console": served{}, "explain": look.Explanation{}, "status": look.Status{}, "report": replay.Report{},
	"runs list": look.Run{}, "runs show": look.Run{},
	"dlq list": look.Letter{}, "dlq show": look.Letter{}, "dlq redrive": look.Redriven{}, "dlq delete": deletedLetter{},
	"functions list": shownFunction{}, "functions remove": shownFunction{},
	"tenants list": look.Tenant{}, "tenants pause": edited{}, "tenants resume": edited{},
	"credentials list": shownCredential{}, "credentials check": checked{}, "scripts list": shownScript{}, "scripts push": pushed{},
	"runtimes list": shownRuntime{}, "packages list": deniedPackage{}, "packages used-by": packageUse{}, "packages deny": changedPackage{}, "packages allow": changedPackage{},
}

// schemaOf is the schema of a type by its JSON tags; the tag about describes a
// field.
func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[run.Status]():
		return map[string]any{"enum": append([]any{}, anyOf(run.Statuses)...)}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		s := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}, "required": []string{}}
		addFields(s, t)
		return s
	}
	kinds := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Int: "integer", reflect.Int32: "integer", reflect.Int64: "integer",
	}
	return map[string]any{"type": kinds[t.Kind()]}
}

func anyOf[T any](all []T) (values []any) {
	for _, v := range all {
		values = append(values, v)
	}
	return values
}

func addFields(s map[string]any, t reflect.Type) {
	for f := range fields(t) {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case name == "" && f.Anonymous:
			addFields(s, f.Type)
			continue
		}
		field := schemaOf(f.Type)
		if about := f.Tag.Get("about"); about != "" {
			field["description"] = about
		}
		s["properties"].(map[string]any)[name] = field
		if !strings.Contains(rest, "omit") {
			s["required"] = append(s["required"].([]string), name)
		}
		switch f.Type.Kind() { // those that Go has no value of are null
		case reflect.Slice, reflect.Map, reflect.Pointer:
			if kind, ok := field["type"].(string); ok && !strings.Contains(rest, "omit") {
				field["type"] = []string{kind, "null"}
			}
		}
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func TestTheSchemasAreOfWhatIsPrinted(t *testing.T) {
	for command, output := range outputs {
		s := schemaOf(reflect.TypeOf(output))
		s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", "One line of scriptfleet "+command+" --json"
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("schemas", strings.ReplaceAll(command, " ", "-")+".schema.json")
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := os.ReadFile(file); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not of what %s prints (go test ./cmd/scriptfleet -update writes it)", file, command)
		}
	}
	if n := len(schemaFiles()); n != len(outputs) {
		t.Errorf("%d schemas for %d outputs", n, len(outputs))
	}
}

// Those that print a result have pkg/run/result.schema.json.
var withoutSchema = map[string]bool{
	"demo": true, "local": true, "run": true, "functions build": true, "replay": true, // replay prints what report does
	"credentials add": true, "credentials policy": true, "credentials remove": true,
	"scripts show": true, "scripts promote": true, "scripts share": true, "scripts remove": true,
	"runtimes add": true, "runtimes remove": true,
	"completion": true, "record": true, "schema": true,
}

func TestEveryCommandThatListsHasASchema(t *testing.T) {
	for n := range leaves(t) {
		path := strings.TrimPrefix(n.Path(), "scriptfleet ")
		if _, ok := outputs[path]; ok == withoutSchema[path] {
			t.Errorf("%s: it has a schema: %t", path, ok)
		}
	}
}

func TestASchemaTakesItsOutputAlone(t *testing.T) {
	c := jsonschema.NewCompiler()
	for name, file := range schemaFiles() {
		text, err := schemas.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = c.AddResource(file, doc)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s, err := c.Compile(file)
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(map[string]any{"unheard_of": true}) == nil {
			t.Errorf("the schema of %s takes anything", name)
		}
	}
	out, err := json.Marshal(screen())
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{string(out): true, strings.Replace(string(out), `"queue"`, `"q"`, 1): false, strings.Replace(string(out), `"open":9`, `"open":"9"`, 1): false} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := c.Compile("schemas/status.schema.json")
		if err := s.Validate(v); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
