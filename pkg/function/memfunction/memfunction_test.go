package memfunction

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/functiontest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestContract(t *testing.T) {
	functiontest.Run(t, "python3.13", func(_ *testing.T, pending time.Duration) functiontest.Service {
		return New(Config{Pending: pending})
	})
}

func withFunction(t *testing.T, cfg Config) *Functions {
	t.Helper()
	f := New(cfg)
	if err := f.Create(t.Context(), function.Spec{Name: "f", TimeoutSeconds: 3}); err != nil {
		t.Fatal(err)
	}
	if err := f.Await(t.Context(), "f"); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestInactiveFunctionIsWokenByTheInvocationThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := withFunction(t, Config{Pending: time.Second})
		f.SetState("f", Inactive)
		for _, want := range []function.Class{function.NotReady, function.NotReady} {
			if _, err := f.Invoke(t.Context(), "acme", "f", nil); function.ClassOf(err) != want {
				t.Fatalf("%v, want %s", err, want)
			}
		}
		if err := f.Await(t.Context(), "f"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Invoke(t.Context(), "acme", "f", nil); err != nil {
			t.Fatal(err)
		}
		if n := len(f.Executions()); n != 1 {
			t.Errorf("executed %d times", n)
		}
	})
}

func TestFailedFunctionIsInABadState(t *testing.T) {
	f := withFunction(t, Config{})
	f.SetState("f", Failed)
	if err := f.Await(t.Context(), "f"); function.ClassOf(err) != function.BadState {
		t.Errorf("await: %v", err)
	}
	if _, err := f.Invoke(t.Context(), "acme", "f", nil); function.ClassOf(err) != function.BadState {
		t.Errorf("invoke: %v", err)
	}
}

func TestFaultsExecuteOnlyWhereTheyShall(t *testing.T) {
	f := withFunction(t, Config{})
	f.SetBehave(func(c Call) Behaviour {
		return []Behaviour{{Fault: function.Throttled}, {Fault: function.Ambiguous}, {Fault: function.Ambiguous, Executes: true}, {}}[c.Nth-1]
	})
	for i, want := range []struct {
		class    function.Class
		executed int
	}{{function.Throttled, 0}, {function.Ambiguous, 0}, {function.Ambiguous, 1}, {"", 2}} {
		_, err := f.Invoke(t.Context(), "acme", "f", []byte("{}"))
		if function.ClassOf(err) != want.class || len(f.Executions()) != want.executed {
			t.Errorf("call %d: %v, executed %d times, want %+v", i+1, err, len(f.Executions()), want)
		}
	}
}

func TestAmbiguousCreateMayHaveMadeTheFunction(t *testing.T) {
	for _, executes := range []bool{false, true} {
		f := New(Config{Behave: func(c Call) Behaviour {
			if c.Nth == 1 {
				return Behaviour{Fault: function.Ambiguous, Executes: executes}
			}
			return Behaviour{}
		}})
		if err := f.Create(t.Context(), function.Spec{Name: "f"}); function.ClassOf(err) != function.Ambiguous {
			t.Errorf("create: %v", err)
		}
		if again := function.ClassOf(f.Create(t.Context(), function.Spec{Name: "f"})); (again == function.Conflict) != executes {
			t.Errorf("executes %v: create again: %q", executes, again)
		}
		if f.Creates("f") != 1 {
			t.Errorf("made %d times", f.Creates("f"))
		}
	}
}

func TestInvocationThatOutlivesItsContextHasExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := withFunction(t, Config{Behave: func(c Call) Behaviour { return Behaviour{Duration: time.Minute} }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := f.Invoke(ctx, "acme", "f", nil)
		if function.ClassOf(err) != function.Ambiguous || time.Since(began) != time.Second || len(f.Executions()) != 1 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestAnswersReadAsTheHandlersDo(t *testing.T) {
	for _, status := range []run.Status{run.Succeeded, run.Failed, run.TimedOut, run.OutOfMemory} {
		f := withFunction(t, Config{Behave: func(Call) Behaviour { return Behaviour{Status: status, Output: []byte(`{"a":1}`)} }})
		inv, err := f.Invoke(t.Context(), "acme", "f", nil)
		if err != nil {
			t.Fatal(err)
		}
		if o := function.Read(inv, run.Script{}); o.Status != status {
			t.Errorf("%s reads as %s", status, o.Status)
		}
	}
}
