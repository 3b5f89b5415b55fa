package fleettest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const (
	runs    = 200
	tenants = 5
	scripts = 8
)

func TestSeparateProcessesShareTheWorkAndBuildEachScriptOnce(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	processes := []*process.Process{f.dispatcher(), f.worker(), f.worker(), f.local}
	for i := range runs {
		// Script and tenant go together: the same text of another tenant is
		// another script.
		n := i % scripts
		f.send(Request(fmt.Sprintf("tenant-%d", n%tenants), fmt.Sprint("run-", i), Data{
			Script: fmt.Sprintf("def main(input):\n    return [%d, input['i']]", n), Input: map[string]int{"i": i},
		}))
	}
	built := map[string]int{}
	var slowest run.Timings
	for i := range runs {
		res := f.Await(t, fmt.Sprint("run-", i))
		if want := fmt.Sprintf("[%d, %d]", i%scripts, i); string(res.Data.Output) != want || res.Data.Attempt != 1 {
			t.Errorf("the result is not %s in one attempt: %s", want, res.Body)
		}
		if res.Data.Build.Outcome == run.BuildBuilt {
			built[string(res.Data.Function.ScriptHash)]++
		}
		if res.Data.Timings.Total > slowest.Total {
			slowest = res.Data.Timings
		}
	}
	t.Logf("the slowest run took %+v", slowest)
	f.checkOnce(t, runs)
	if len(built) != scripts {
		t.Errorf("%d scripts were built, not %d", len(built), scripts)
	}
	for hash, n := range built {
		if n != 1 {
			t.Errorf("script %s was built %d times", hash, n)
		}
	}
	if functions := f.functions(); len(functions) != scripts {
		t.Errorf("there are %d functions, not %d: %q", len(functions), scripts, functions)
	}
	checkBooks(t, f)
	if err := f.Mailbox.Close(); err != nil { // before the stack stops
		t.Error(err)
	}
	checkStops(t, processes)
}

// checkBooks asks the operator's command whether all is settled.
func checkBooks(t *testing.T, f *fleet) {
	t.Helper()
	got := command(t, f.env(), "", "check", "--idle", "--json")
	var books struct{ Accepted, Results, Open, Lost, Buried int }
	if err := json.Unmarshal([]byte(got.Stdout), &books); err != nil || got.Code != 0 {
		t.Fatalf("check --idle exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
	}
	if books.Accepted != runs || books.Results != runs || books.Lost+books.Open+books.Buried != 0 {
		t.Errorf("the books do not balance: %s", got.Stdout)
	}
}

// checkStops stops the processes, the stack last, and looks for what they left.
func checkStops(t *testing.T, processes []*process.Process) {
	t.Helper()
	var all []process.Born
	for _, p := range processes {
		all = append(all, p.Family()...)
	}
	if len(all) <= len(processes) {
		t.Errorf("the processes have no children, which functions would be: %v", all)
	}
	for _, p := range processes {
		p.Terminate()
	}
	eventually(t, "processes are left", func() bool {
		for _, b := range all {
			if b.Alive() {
				return false
			}
		}
		return true
	})
}
