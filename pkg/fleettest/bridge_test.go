package fleettest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// A new script of a known env runs in the env runner of its own tenant, and
// nowhere else; its second run has its function built.
func TestNewScriptOfAKnownEnvIsBridged(t *testing.T) {
	t.Parallel()
	f := startFleet(t, "--env-runner", "on", "--tenants", files.Write(t, "tenants.json", `{"tenants":{"waits":{"env_runner":false}}}`))
	n := 0
	ask := func(tenant, text string) run.Result {
		t.Helper()
		n++
		id := fmt.Sprint("bridge-", n)
		f.send(Request(tenant, id, Data{Script: fmt.Sprintf("import idna\ndef main(input):\n    return %q", text), Requirements: "idna==3.10"}))
		res := f.Await(t, id)
		if res.Data.Status != run.Succeeded || string(res.Data.Output) != fmt.Sprintf("%q", text) {
			t.Fatalf("the result of %s is %s", id, res.Body)
		}
		return res.Result
	}
	is := func(res run.Result, outcome run.BuildOutcome) {
		t.Helper()
		if d := res.Data; d.Build.Outcome != outcome || d.Function.Runner != (outcome == run.BuildBridged) || d.Attempt != 1 {
			t.Errorf("the build is %+v, want %s; the function is %+v, at attempt %d", d.Build, outcome, d.Function, d.Attempt)
		}
	}
	built := func(step string, n float64) {
		t.Helper()
		eventually(t, "a "+step+" is not built", func() bool {
			return metric(t, f.local.Admin(), fmt.Sprintf(`scriptfleet_build_finished_total{outcome="built",step=%q}`, step)) == n
		})
	}
	is(ask("acme", "first"), run.BuildBuilt)
	built("runner", 1)

	before := f.functions()
	is(ask("acme", "second"), run.BuildBridged)
	if after := f.functions(); !slices.Equal(before, after) {
		t.Errorf("the run has made functions: %v, before %v", after, before)
	}
	is(ask("acme", "second"), run.BuildBridged)
	built("script", 2) // behind that run
	is(ask("acme", "second"), run.BuildReused)

	is(ask("beta", "second"), run.BuildBuilt) // acme's runner is not beta's
	built("runner", 2)
	is(ask("beta", "third"), run.BuildBridged)

	is(ask("waits", "first"), run.BuildBuilt)
	is(ask("waits", "second"), run.BuildBuilt)
	built("runner", 2)
}
