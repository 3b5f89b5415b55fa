package build_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/build"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// answers collects what many Ensures said.
type answers struct {
	mu    sync.Mutex
	built []build.Built
	errs  []error
}

func (a *answers) ensure(wg *sync.WaitGroup, w *worker, s run.Script) {
	wg.Go(func() {
		b, err := w.Ensure(context.Background(), s, build.ForRun)
		a.mu.Lock()
		defer a.mu.Unlock()
		if err != nil {
			a.errs = append(a.errs, err)
			return
		}
		a.built = append(a.built, b)
	})
}

// outcomes counts the answers by their outcome.
func (a *answers) outcomes() map[run.BuildOutcome]int {
	n := map[run.BuildOutcome]int{}
	for _, b := range a.built {
		n[b.Outcome]++
	}
	for _, err := range a.errs {
		var failed *build.FailedError
		if errors.As(err, &failed) {
			n[failed.Outcome]++
		}
	}
	return n
}

func (fl *fleet) expectMade(functions, layers int) {
	fl.t.Helper()
	if f, l := fl.lambda.created(); f != functions || l != layers {
		fl.t.Errorf("%d functions were created and %d layers published, want %d and %d", f, l, functions, layers)
	}
}

func ensure(t *testing.T, w *worker, s run.Script) build.Built {
	t.Helper()
	b, err := w.Ensure(t.Context(), s, build.ForRun)
	if err != nil {
		t.Fatalf("%s: ensure %s: %v", w.name, s.Hash, err)
	}
	return b
}

func fails(t *testing.T, w *worker, s run.Script) *build.FailedError {
	t.Helper()
	b, err := w.Ensure(t.Context(), s, build.ForRun)
	var failed *build.FailedError
	if !errors.As(err, &failed) {
		t.Fatalf("%s: ensure %s: %+v, %v; want a FailedError", w.name, s.Hash, b, err)
	}
	return failed
}

func TestThousandRunsOnFourWorkersMakeOneBuild(t *testing.T) {
	inFleet(t, 4, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var got answers
		for i := range 1000 {
			got.ensure(&wg, fl.workers[i%4], numbers)
		}
		wg.Wait()
		fl.expectMade(1, 1)
		if n := fl.layers.count(numbers); n != 1 {
			t.Errorf("the layer was built %d times", n)
		}
		if n := got.outcomes(); n[run.BuildBuilt] != 1 || n[run.BuildWaited] != 999 || len(got.errs) > 0 {
			t.Errorf("outcomes %v, errors %v", n, got.errs)
		}
		leader := ""
		for _, b := range got.built {
			if b.Function != run.FunctionName("scriptfleet", "acme", numbers.Hash) || b.Log == "" {
				t.Fatalf("answered %+v", b)
			}
			if b.Outcome == run.BuildWaited && leader != "" && b.WaitedOn != leader {
				t.Fatalf("waited on %q and on %q", b.WaitedOn, leader)
			}
			if b.Outcome == run.BuildWaited {
				leader = b.WaitedOn
			}
		}
	})
}

func TestTimesOfABuildAreLedOrWaited(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var first, second answers
		first.ensure(&wg, fl.workers[0], numbers)
		time.Sleep(time.Second)
		second.ensure(&wg, fl.workers[1], numbers)
		wg.Wait()
		led, waited := first.built[0], second.built[0]
		if led.Led < layerTime+startTime || led.Waited > time.Second {
			t.Errorf("the leader led %s and waited %s", led.Led, led.Waited)
		}
		if waited.Led != 0 || waited.Waited < layerTime || waited.WaitedOn != "worker-0" {
			t.Errorf("the other: %+v", waited)
		}
	})
}

func TestKnownFunctionCostsNoRoundTrip(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		if _, ok := w.Known(plain); ok {
			t.Error("known before it was built")
		}
		ensure(t, w, plain)
		w.redis.set(away())
		start := time.Now()
		if b, ok := w.Known(plain); !ok || b.Outcome != run.BuildReused || b.Function == "" {
			t.Errorf("known %t: %+v", ok, b)
		}
		if b := ensure(t, w, plain); b.Outcome != run.BuildReused || time.Since(start) > 0 {
			t.Errorf("ensured %+v in %s, with Redis away", b, time.Since(start))
		}
	})
}

func TestSecondWorkerReusesByTheRecord(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], numbers)
		calls := fl.lambda.called("Await")
		if b := ensure(t, fl.workers[1], numbers); b.Outcome != run.BuildReused || b.Log != "" {
			t.Errorf("answered %+v", b)
		}
		if fl.lambda.called("Await") != calls {
			t.Error("asked Lambda, though a record says that it is there")
		}
	})
}

func TestScriptsOfOneEnvShareItsLayer(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var got answers
		for i, source := range []string{"a", "b", "c", "d"} {
			got.ensure(&wg, fl.workers[i%2], script("acme", source, "numpy"))
			got.ensure(&wg, fl.workers[i%2], script("globex", source, "numpy"))
		}
		wg.Wait()
		fl.expectMade(8, 1)
		if len(got.errs) > 0 {
			t.Error(got.errs)
		}
	})
}

func TestWaiterThatLeavesDoesNotEndTheBuild(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		gone := errors.New("the delivery is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if _, err := fl.workers[0].Ensure(ctx, numbers, build.ForRun); !errors.Is(err, gone) {
			t.Fatalf("left with %v", err)
		}
		time.Sleep(time.Minute) // nobody waits any more
		if _, ok := fl.workers[0].Known(numbers); !ok {
			t.Error("the build ended with the last who waited for it")
		}
		fl.expectMade(1, 1)
	})
}

func TestBuildTakesLongerThanItsLease(t *testing.T) {
	inFleet(t, 3, func(t *testing.T, fl *fleet) {
		fl.lambda.set(func(ctx context.Context, _ *worker, op, _ string) error {
			if op == "Create" {
				time.Sleep(50 * time.Second)
			}
			return nil
		}, nil)
		var wg sync.WaitGroup
		var got answers
		for i := range 30 {
			got.ensure(&wg, fl.workers[i%3], plain)
		}
		wg.Wait()
		fl.expectMade(1, 0)
		if n := fl.lambda.called("Create"); n != 1 || len(got.errs) > 0 {
			t.Errorf("%d calls of Create, errors %v", n, got.errs)
		}
	})
}

func TestWaitersAreToldAtOnce(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var first, second answers
		start := time.Now()
		first.ensure(&wg, fl.workers[0], plain)
		synctest.Wait()
		second.ensure(&wg, fl.workers[1], plain)
		wg.Wait()
		// Looking by itself takes a second at least, so does its jitter tell.
		if took := time.Since(start); took > startTime+200*time.Millisecond {
			t.Errorf("the second worker knew after %s of a build of %s", took, startTime)
		}
	})
}

func TestWaitersLookByThemselvesWhenNobodyTells(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		fl.workers[1].redis.set(away("watch"))
		var wg sync.WaitGroup
		var got answers
		start := time.Now()
		got.ensure(&wg, fl.workers[0], numbers)
		synctest.Wait()
		got.ensure(&wg, fl.workers[1], numbers)
		wg.Wait()
		if took := time.Since(start); took > layerTime+startTime+6*time.Second || len(got.errs) > 0 {
			t.Errorf("took %s, errors %v", took, got.errs)
		}
		fl.expectMade(1, 1)
	})
}

func TestFunctionThatIsThereWithoutARecordIsFound(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], numbers)
		fl.records.Flush()
		fl.leases.Flush()
		paced := len(fl.lambda.log)
		if b := ensure(t, fl.workers[1], numbers); b.Outcome != run.BuildReused {
			t.Errorf("answered %+v", b)
		}
		if len(fl.lambda.log) != paced {
			t.Errorf("calls of the paced control plane: %v", fl.lambda.log[paced:])
		}
	})
}

func TestRecordOfAnotherFunctionIsNotBelieved(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		ctx := t.Context()
		for _, key := range []string{"script/" + string(numbers.Hash), "env/numpy"} {
			if err := fl.records.Put(ctx, key, build.Record{ARN: "of-another-tenant", Fence: 1}, 0); err != nil {
				t.Fatal(err)
			}
		}
		if b := ensure(t, fl.workers[0], numbers); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
		fl.expectMade(1, 1)
	})
}

func TestForgottenFunctionIsBuiltAgain(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		name := ensure(t, fl.workers[0], numbers).Function
		ensure(t, fl.workers[1], numbers)
		delete(fl.lambda.functions, name)
		for range 5 { // as many runs as found it missing
			if err := fl.workers[0].Forget(t.Context(), numbers); err != nil {
				t.Fatal(err)
			}
		}
		if b := ensure(t, fl.workers[0], numbers); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
		fl.expectMade(2, 1)
		// The other worker learns it late, and must not drop what is newer.
		if err := fl.workers[1].Forget(t.Context(), numbers); err != nil {
			t.Fatal(err)
		}
		awaits := fl.lambda.called("Await")
		if b := ensure(t, fl.workers[1], numbers); b.Outcome != run.BuildReused || fl.lambda.called("Await") != awaits {
			t.Errorf("answered %+v", b)
		}
	})
}

func TestFailedFunctionIsDeletedAndMadeAgain(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		name := ensure(t, w, plain).Function
		fl.lambda.functions[name].failed = true
		if err := w.Forget(t.Context(), plain); err != nil {
			t.Fatal(err)
		}
		if b := ensure(t, w, plain); b.Outcome != run.BuildBuilt || b.Function != name {
			t.Errorf("answered %+v", b)
		}
		if fl.lambda.functions[name].failed {
			t.Error("the failed function is still there")
		}
	})
}

func TestLayerDeletedBehindOurBackIsMadeAgain(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], numbers)
		clear(fl.lambda.versions)
		if b := ensure(t, fl.workers[0], script("acme", "other", "numpy")); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
		if n := fl.layers.count(numbers); n != 2 {
			t.Errorf("the layer was built %d times, want 2", n)
		}
	})
}

func TestConflictOnCreateMeansThatItIsThere(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		unanswered := true
		fl.lambda.set(nil, func(_ context.Context, _ *worker, op, _ string) error {
			if op == "Create" && unanswered {
				unanswered = false
				return serviceError(op, function.Ambiguous)
			}
			return nil
		})
		if b := ensure(t, fl.workers[0], plain); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
		fl.expectMade(1, 0)
	})
}

func TestUnansweredPublishIsLookedForBeforeAnother(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		unanswered := true
		fl.lambda.set(nil, func(_ context.Context, _ *worker, op, _ string) error {
			if op == "PublishLayer" && unanswered {
				unanswered = false
				return serviceError(op, function.Ambiguous)
			}
			return nil
		})
		ensure(t, fl.workers[0], numbers)
		fl.expectMade(1, 1)
	})
}
