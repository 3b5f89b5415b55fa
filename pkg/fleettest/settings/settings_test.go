package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// effect is the effect of one setting: the fleet's behaviour without and with
// it.
type effect struct {
	without, with string // contents of the tenants' file
	look          func(f *fleet) any
	want          [2]any
}

const role = `"credentials":{"prod":{"role_arn":"arn:aws:iam::111111111111:role/theirs"}}`

func acme(settings string) string { return `{"tenants":{"acme":{` + settings + `}}}` }

var effects = map[string]effect{
	"unknown":  {`{}`, `{"unknown":"refuse"}`, func(f *fleet) any { return f.statusOf(f.ask("acme", "a")) }, [2]any{run.Succeeded, run.Rejected}},
	"defaults": {`{}`, `{"defaults":{"max_running":1}}`, threeAtOnce, [2]any{3, 1}},
	"tenants":  {`{"tenants":{}}`, acme(`"max_running":1`), threeAtOnce, [2]any{3, 1}},

	"denied_packages": {`{}`, `{"denied_packages":{"packages":{"idna==3.10":"CVE-2024-3651"}}}`, usesALayerOfUnknownPackages, [2]any{true, false}},

	"max_running":            {acme(``), acme(`"max_running":1`), threeAtOnce, [2]any{3, 1}},
	"paused":                 {acme(``), acme(`"paused":true`), threeAtOnce, [2]any{3, 0}},
	"package_index":          {acme(``), acme(`"package_index":{"url":"https://pypi.acme.example/simple/"}`), envOfItsOwn, [2]any{false, true}},
	"max_running_per_script": {acme(``), acme(`"max_running_per_script":1`), threeAtOnce, [2]any{3, 1}},
	"weight":                 {acme(``), acme(`"weight":10`), shareBesideAnother, [2]any{4, 6}},
	"max_backlog":            {acme(``), acme(`"max_backlog":2`), onTheSide, [2]any{false, true}},
	"partitions":             {acme(``), acme(`"partitions":4`), partitionsUsed, [2]any{2, 4}},
	"memory_mb":              {acme(``), acme(`"memory_mb":512`), memory, [2]any{256, 512}},
	"env_runner":             {acme(``), acme(`"env_runner":false`), secondScriptIsBridged, [2]any{true, false}},
	"sealed_in_env_runner":   {acme(``), acme(`"sealed_in_env_runner":true`), sealedScriptIsBridged, [2]any{false, true}},
	"external_id":            {acme(`"external_id":"of-another-tenant",` + role), acme(`"external_id":"` + externalID + `",` + role), assumes, [2]any{false, true}},
	"credentials":            {acme(`"external_id":"` + externalID + `"`), acme(`"external_id":"` + externalID + `",` + role), assumes, [2]any{false, true}},
}

func threeAtOnce(f *fleet) any {
	f.takes(10 * time.Second)
	f.work()
	for n := range 3 {
		f.ask("acme", fmt.Sprint(n))
	}
	f.pass(5 * time.Second)
	return f.executions("acme")
}

// shareBesideAnother is how many of eight freed turns acme gets while six of
// its runs and six of another tenant wait.
func shareBesideAnother(f *fleet) any {
	f.takes(time.Second)
	f.work()
	for n := range concurrency {
		f.ask("occupies", fmt.Sprint(n))
	}
	f.pass(500 * time.Millisecond)
	for n := range 6 {
		f.ask("acme", fmt.Sprint(n))
		f.ask("globex", fmt.Sprint(n))
	}
	f.pass(1400 * time.Millisecond)
	return f.executions("acme")
}

func onTheSide(f *fleet) any {
	for n := range 5 {
		f.ask("acme", fmt.Sprint(n))
	}
	f.pass(time.Second)
	return f.depth(f.side) > 0
}

// partitionsUsed is how many partitions a burst of acme's goes to, without the
// first, which all tenants share at a low load.
func partitionsUsed(f *fleet) any {
	for n := range 400 {
		f.ask("acme", fmt.Sprint(n))
	}
	f.pass(2 * time.Second)
	used := 0
	for _, q := range f.partitions[1:] {
		ds, err := q.Receive(f.ctx, queue.Poll{Max: queue.MaxBatch})
		if err != nil {
			f.Fatal(err)
		}
		if len(ds) > 0 {
			used++
		}
	}
	return used
}

func memory(f *fleet) any {
	f.work()
	res := f.resultOf(f.ask("acme", "a"))
	spec, _ := f.functions.Spec(run.FunctionName(prefix, "acme", res.Data.Function.ScriptHash))
	return spec.MemoryMB
}

// usesALayerOfUnknownPackages tells whether a run uses a layer that Lambda has
// and of which nobody knows the packages.
func usesALayerOfUnknownPackages(f *fleet) any {
	const requirements = "idna==3.10"
	env := f.decode("acme", requirements).Script.EnvHash
	if _, err := f.functions.PublishLayer(f.ctx, function.LayerSpec{Name: run.LayerName(prefix, env)}); err != nil {
		f.Fatal(err)
	}
	f.work()
	f.send("acme", "a", map[string]any{"script": "def main(input): pass", "requirements": requirements})
	return f.resultOf("a").Data.Function.EnvHash == env
}

// envOfItsOwn tells whether acme's env is another than that of the same script of
// another tenant.
func envOfItsOwn(f *fleet) any {
	const requirements = "idna==3.10"
	return f.decode("acme", requirements).Script.EnvHash != f.decode("globex", requirements).Script.EnvHash
}

func secondScriptIsBridged(f *fleet) any {
	return f.bridges(map[string]any{"script": "def main(input): return 2"})
}

func sealedScriptIsBridged(f *fleet) any {
	p := registry.Push{Name: registry.Name{Tenant: "acme", ID: "a"}, Pushed: run.Pushed{Source: "def main(input): return 2"}}
	if _, _, err := registry.New(f.scripts).Push(f.ctx, p, time.Now()); err != nil {
		f.Fatal(err)
	}
	return f.bridges(map[string]any{"script_ref": "a"})
}

// bridges tells whether an env runner executes a script after the first one of
// its env.
func (f *fleet) bridges(data map[string]any) bool {
	f.work()
	f.resultOf(f.ask("acme", "a"))
	f.pass(time.Second) // the runner is built
	f.send("acme", "b", data)
	return f.resultOf("b").Data.Function.Runner
}

func assumes(f *fleet) any {
	f.work()
	f.resultOf(f.ask("acme", "a", "prod"))
	var call struct {
		Credentials struct{ Success bool } `json:"credentials"`
	}
	if err := json.Unmarshal(f.functions.Executions()[0].Payload, &call); err != nil {
		f.Fatal(err)
	}
	return call.Credentials.Success
}

func TestEverySettingChangesWhatTheFleetDoes(t *testing.T) {
	for name, e := range effects {
		for i, file := range []string{e.without, e.with} {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(t, file)
					defer f.stop()
					if got := e.look(f); got != e.want[i] {
						t.Errorf("with %s: %v, want %v", file, got, e.want[i])
					}
				})
			})
		}
		if e.want[0] == e.want[1] {
			t.Errorf("%s changes nothing", name)
		}
	}
}

func TestEverySettingOfTheSchemaHasAnEffect(t *testing.T) {
	schema, err := os.ReadFile("../../tenant/settings.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var file struct {
		object
		Defs struct{ Limits, Tenant object } `json:"$defs"`
	}
	if err := json.Unmarshal(schema, &file); err != nil {
		t.Fatal(err)
	}
	var settings []string
	for _, o := range []object{file.object, file.Defs.Limits, file.Defs.Tenant} {
		settings = slices.AppendSeq(settings, maps.Keys(o.Properties))
	}
	for _, name := range settings {
		if _, ok := effects[name]; !ok && name != "$schema" {
			t.Errorf("nothing shows what %s changes: add an effect", name)
		}
	}
	if len(settings) != len(effects)+1 {
		t.Errorf("%d settings and %d effects", len(settings)-1, len(effects))
	}
}
