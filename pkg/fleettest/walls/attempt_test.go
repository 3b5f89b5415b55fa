package walls

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// runAs sends a run of the tenant, and waits for its result.
func runAs(t *testing.T, tenant string, d fleettest.Data) fleettest.Arrival {
	t.Helper()
	id := fmt.Sprintf("%s-%d", t.Name(), sent.Add(1))
	fleet.Send(t, fleettest.Request(tenant, id, d))
	return fleet.AwaitOf(t, tenant, id)
}

var sent atomic.Int64 // number for ids

// runner is one script for all attempts: it executes the code in its input, so
// that an attempt needs no build.
const runner = `
def main(input):
    space = {}
    exec(input["code"], space)
    return space["attempt"](input)
`

// input is a runner's input: the code, and values for it.
func input(code string, with map[string]any) map[string]any {
	all := map[string]any{"code": code}
	for name, value := range with {
		all[name] = value
	}
	return all
}

// try runs the code as the tenant. The run must succeed; the code returns what
// it could not do.
func try(t *testing.T, tenant, code string, with map[string]any, into any) fleettest.Arrival {
	t.Helper()
	res := runAs(t, tenant, fleettest.Data{Script: runner, Timeout: 30, Input: input(code, with)})
	if res.Data.Status != run.Succeeded {
		t.Fatalf("the attempt itself failed: %s", res.Body)
	}
	decode(t, res.Data.Output, into)
	return res
}

// functionOf is the name of the function that gave a result.
func functionOf(r fleettest.Arrival) string {
	return run.FunctionName("scriptfleet", r.Tenant, r.Data.Function.ScriptHash)
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
