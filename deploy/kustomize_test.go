package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// The example takes every component, so it has every object.
func TestKustomizeBuildsTheExample(t *testing.T) {
	built := kustomize(t, "kubernetes/example")
	if strings.Contains(built, "<") {
		t.Error("the example has a value left to fill in")
	}
	var of []string
	var plain bytes.Buffer
	for _, o := range documents(t, built) {
		kind, _ := o["kind"].(string)
		of = append(of, kind)
		if crd := definition(t, kind); crd == nil {
			writeYAML(t, &plain, o)
		} else if err := crd.Validate(o); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if ns := o["metadata"].(map[string]any)["namespace"]; ns != "scriptfleet" {
			t.Errorf("a %s is in the namespace %v", kind, ns)
		}
	}
	all := strings.Join(of, " ")
	for _, kind := range []string{"Deployment", "PodDisruptionBudget", "NetworkPolicy", "ScaledObject", "PodMonitor"} {
		if !strings.Contains(all, kind) {
			t.Errorf("there is no %s in %s", kind, all)
		}
	}
	if strings.Contains(all, "HorizontalPodAutoscaler") {
		t.Error("two autoscalers scale the workers")
	}
	accepts(t, "kubernetes-validate", "--strict", "--quiet", files.Write(t, "example.yaml", plain.String()))
}

// A definition that lets pass what the object misspells proves nothing.
func TestTheDefinitionsRefuseWhatIsMisspelt(t *testing.T) {
	for kind, path := range map[string][]string{"ScaledObject": {"spec"}, "PodMonitor": {"spec", "selector"}} {
		for _, o := range documents(t, kustomize(t, "kubernetes/example")) {
			if o["kind"] != kind {
				continue
			}
			at := o
			for _, name := range path {
				at = at[name].(map[string]any)
			}
			at["maxReplicaCuont"] = 3
			if definition(t, kind).Validate(o) == nil {
				t.Errorf("%s: %s may have any field", kind, strings.Join(path, "."))
			}
		}
	}
}

// The queries and the metrics of the autoscaler are checked with all other
// names, by TestMetricsThatAreNamedAreThoseThatTheFleetHas.

func kustomize(t *testing.T, dir string) string {
	t.Helper()
	path, err := program.Tool("kustomize")
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	cmd := exec.Command(path, "build", dir)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil || problems.Len() > 0 {
		t.Fatalf("kustomize build %s: %v\n%s", dir, err, problems.Bytes())
	}
	return string(out)
}

func documents(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o map[string]any
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}

func writeYAML(t *testing.T, w *bytes.Buffer, o any) {
	t.Helper()
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "---\n%s", text)
}

var definitions = map[string]string{
	"ScaledObject": "keda.sh_scaledobjects.yaml",
	"PodMonitor":   "monitoring.coreos.com_podmonitors.yaml",
}

// definition is the schema of a custom object, which its authors publish, and
// nil for an object of Kubernetes itself.
func definition(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	name, custom := definitions[kind]
	if !custom {
		return nil
	}
	text, err := os.ReadFile(filepath.Join("..", ".tools", "crds", name))
	if err != nil {
		t.Fatalf("make setup brings it: %v", err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI map[string]any `yaml:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil || len(crd.Spec.Versions) != 1 {
		t.Fatalf("%s: %d versions, %v", name, len(crd.Spec.Versions), err)
	}
	schema := crd.Spec.Versions[0].Schema.OpenAPI
	knowOnly(schema, true)
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// knowOnly makes a structural schema refuse the fields that it does not name,
// as the API server does with strict validation. top is set for the object
// itself, whose metadata the schema leaves to the server.
func knowOnly(schema map[string]any, top bool) {
	fields, _ := schema["properties"].(map[string]any)
	for name, field := range fields {
		if top && name == "metadata" {
			continue
		}
		if s, ok := field.(map[string]any); ok {
			knowOnly(s, false)
		}
	}
	_, open := schema["additionalProperties"]
	if fields != nil && !open && schema["x-kubernetes-preserve-unknown-fields"] != true {
		schema["additionalProperties"] = false
	}
	if items, ok := schema["items"].(map[string]any); ok {
		knowOnly(items, false)
	}
}
