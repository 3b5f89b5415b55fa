package function_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// A function is made, awaited and invoked, and its answer is read. Making it
// again is a Conflict.
func Example() {
	ctx := context.Background()
	functions := memfunction.New(memfunction.Config{})
	spec := function.Spec{Name: "scriptfleet-acme-1", TimeoutSeconds: 10, MemoryMB: 256}
	fmt.Println(functions.Create(ctx, spec), functions.Await(ctx, spec.Name))
	fmt.Println(function.ClassOf(functions.Create(ctx, spec)))

	payload, _ := function.Call{Input: json.RawMessage(`{"n":1}`)}.Payload()
	answer, err := functions.Invoke(ctx, "acme", spec.Name, payload)
	outcome := function.Read(answer, run.Script{})
	fmt.Println(outcome.Status, string(outcome.Output), err)
	// Output:
	// <nil> <nil>
	// conflict
	// succeeded null <nil>
}
