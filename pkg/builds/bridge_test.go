package builds_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// runnerOf is the env runner of a script, as package run names it.
func runnerOf(s run.Script) run.Script {
	s.Source, s.TimeoutSeconds, s.Runner = "", 75, true
	s.Hash = run.ScriptHash(s.Tenant + "-runner-" + string(s.EnvHash))
	return s
}

// bridge fails if Bridge does not name the runner for the script.
func bridge(t *testing.T, w *worker, s run.Script) {
	t.Helper()
	b, ok := w.Bridge(t.Context(), s, runnerOf(s))
	if name := run.FunctionName("scriptfleet", s.Tenant, runnerOf(s).Hash); !ok || b.Outcome != run.BuildBridged ||
		b.Function != name || b.Script.Hash != s.Hash || b.Runner == nil || *b.Runner != runnerOf(s) {
		t.Errorf("%s bridges %s: %t, %+v", w.name, s.Hash, ok, b)
	}
}

func TestBridgeNamesTheRunnerOnceItIsBuilt(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		first, second := fl.workers[0], fl.workers[1]
		other := script("acme", "other", "numpy")
		if _, ok := first.Bridge(t.Context(), other, runnerOf(other)); ok {
			t.Error("a runner that is not built is named")
		}
		ensure(t, first, numbers)
		first.Behind(runnerOf(numbers), builds.ForRunner)
		time.Sleep(startTime + time.Second)
		fl.expectMade(2, 1)
		for _, w := range fl.workers {
			bridge(t, w, other)
			if _, ok := w.Bridge(t.Context(), script("beta", "other", "numpy"), runnerOf(script("beta", "other", "numpy"))); ok {
				t.Error("another tenant's runner is named")
			}
		}
		// The script's own function is better, whoever has built it.
		ensure(t, first, other)
		if b, ok := second.Bridge(t.Context(), other, runnerOf(other)); !ok || b.Runner != nil || b.Outcome != run.BuildReused {
			t.Errorf("once it is built: %t, %+v", ok, b)
		}
		if n := fl.lambda.called("PublishLayer"); n != 1 {
			t.Errorf("%d layers were published", n)
		}
	})
}

func TestBridgeMakesOneRoundTripAndNoneDuringTheBuild(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], runnerOf(numbers))
		w, trips := fl.workers[1], 0
		w.redis.set(func(op string) error { trips++; return nil })
		bridge(t, w, numbers)
		if trips != 1 {
			t.Errorf("%d round trips", trips)
		}
		w.redis.set(nil)
		go func() { _, _ = w.Ensure(context.Background(), numbers, builds.ForRun) }()
		synctest.Wait()
		w.redis.set(away())
		bridge(t, w, numbers)
		w.redis.set(nil)
		time.Sleep(time.Minute)
	})
}

func TestScriptIsBuiltBehindItsSecondRun(t *testing.T) {
	for _, after := range []int{0, 1, 5} {
		inFleet(t, 0, func(t *testing.T, fl *fleet) {
			w := fl.add(builds.Config{BuildAfter: after})
			ensure(t, w, runnerOf(numbers))
			want := after
			if after == 0 {
				want = 2
			}
			for n := 1; n <= want; n++ {
				if _, known := w.Known(numbers); known {
					t.Errorf("after %d: built behind run %d already", after, n-1)
				}
				bridge(t, w, numbers)
				time.Sleep(startTime + time.Second)
			}
			if _, known := w.Known(numbers); !known {
				t.Errorf("after %d: not built behind run %d", after, want)
			}
			fl.expectMade(2, 1)
		})
	}
}

func TestFailureOfTheAuthorsIsNotBridgedAndAnyOtherIs(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		broken := script("acme", "syntax error", "numpy")
		ensure(t, fl.workers[0], runnerOf(numbers))
		fails(t, fl.workers[0], broken)
		for _, w := range fl.workers {
			if b, ok := w.Bridge(t.Context(), broken, runnerOf(broken)); ok {
				t.Errorf("%s bridges a script with a syntax error: %+v", w.name, b)
			}
		}
		fl.lambda.set(func(_ context.Context, _ *worker, op, _ string) error {
			if op == "Create" {
				return serviceError(op, function.Operator)
			}
			return nil
		}, nil)
		fails(t, fl.workers[0], numbers)
		for _, w := range fl.workers {
			bridge(t, w, numbers) // an account without room for a function still executes runs
		}
	})
}

func TestRunnerOfADeniedPackageIsUsedNoMore(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		ensure(t, w, runnerOf(numbers))
		bridge(t, w, numbers)
		fl.deny("numpy")
		ensure(t, w, script("acme", "other", "numpy")) // its env is judged
		if b, ok := w.Bridge(t.Context(), numbers, runnerOf(numbers)); ok {
			t.Errorf("bridged: %+v", b)
		}
	})
}

func TestForgottenRunnerIsBuiltAgain(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		name := ensure(t, w, runnerOf(numbers)).Function
		delete(fl.lambda.functions, name) // as idle
		if err := w.Forget(t.Context(), runnerOf(numbers)); err != nil {
			t.Fatal(err)
		}
		if _, ok := w.Bridge(t.Context(), numbers, runnerOf(numbers)); ok {
			t.Error("a runner that is gone is named")
		}
		w.Behind(runnerOf(numbers), builds.ForRunner)
		time.Sleep(startTime + time.Second)
		bridge(t, w, numbers)
	})
}

func TestBuildsBehindAreBoundedAndEndWithTheWorker(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		w := fl.add(builds.Config{MaxBuilds: 1})
		for i := range 3000 {
			w.Behind(script("acme", fmt.Sprint(i), ""), builds.Behind)
		}
		synctest.Wait()
		waiting := 0
		for i := range 3000 {
			if _, busy := w.Busy(script("acme", fmt.Sprint(i), "").Hash); busy {
				waiting++
			}
		}
		if waiting != 1000 {
			t.Errorf("%d builds wait", waiting)
		}
		if err := w.Close(ended); err != nil {
			t.Error(err)
		}
		w.Behind(plain, builds.Behind)
		if _, err := w.Ensure(t.Context(), plain, builds.ForRun); !errors.Is(err, builds.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestManyRunsOfANewScriptAreBridgedAndBuiltOnce(t *testing.T) {
	inFleet(t, 4, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], runnerOf(numbers))
		var wg sync.WaitGroup
		for i := range 200 {
			w := fl.workers[i%4]
			wg.Go(func() { bridge(t, w, numbers) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		fl.expectMade(2, 1)
		for _, w := range fl.workers {
			if _, known := w.Known(numbers); !known {
				t.Errorf("%s does not know that it is built", w.name)
			}
		}
	})
}
