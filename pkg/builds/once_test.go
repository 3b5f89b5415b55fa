package builds_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// answers collects the results of many calls of Ensure.
type answers struct {
	mu    sync.Mutex
	built []builds.Built
	errs  []error
}

func (a *answers) ensure(wg *sync.WaitGroup, w *worker, s run.Script) {
	wg.Go(func() {
		b, err := w.Ensure(context.Background(), s, builds.ForRun)
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
		var failed *builds.FailedError
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

func ensure(t *testing.T, w *worker, s run.Script) builds.Built {
	t.Helper()
	b, err := w.Ensure(t.Context(), s, builds.ForRun)
	if err != nil {
		t.Fatalf("%s: ensure %s: %v", w.name, s.Hash, err)
	}
	return b
}

func fails(t *testing.T, w *worker, s run.Script) *builds.FailedError {
	t.Helper()
	b, err := w.Ensure(t.Context(), s, builds.ForRun)
	var failed *builds.FailedError
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
		if _, err := fl.workers[0].Ensure(ctx, numbers, builds.ForRun); !errors.Is(err, gone) {
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
		// Without a signal the second worker reads the record after 1 s at the
		// earliest, so a quicker answer came by the signal.
		if took := time.Since(start); took > startTime+200*time.Millisecond {
			t.Errorf("the second worker knew after %s of a build of %s", took, startTime)
		}
	})
}

func TestWaitersLookByThemselvesWhenNobodyTells(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		fl.workers[1].redis.set(away("watch"))
		const create = ttl + time.Second // a waiter asks for a held lease again after at most a TTL
		fl.lambda.set(func(_ context.Context, _ *worker, op, _ string) error {
			if op == "Create" {
				time.Sleep(create)
			}
			return nil
		}, nil)
		var wg sync.WaitGroup
		var got answers
		start := time.Now()
		got.ensure(&wg, fl.workers[0], plain)
		synctest.Wait()
		got.ensure(&wg, fl.workers[1], plain)
		wg.Wait()
		if took := time.Since(start); took > create+startTime+6*time.Second || len(got.errs) > 0 {
			t.Errorf("took %s, errors %v", took, got.errs)
		}
		fl.expectMade(1, 0)
	})
}

func TestRunsOfOneWorkerShareOneFlight(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		var mu sync.Mutex
		asked := map[string]int{}
		fl.workers[0].redis.set(func(op string) error {
			mu.Lock()
			defer mu.Unlock()
			asked[op]++
			return nil
		})
		var wg sync.WaitGroup
		var got answers
		for range 250 {
			got.ensure(&wg, fl.workers[0], numbers)
		}
		wg.Wait()
		if asked["acquire"] != 2 || asked["get"] != 4 || asked["put"] != 2 {
			t.Errorf("250 runs asked Redis %v, want two leases, looked at twice each, and two records", asked)
		}
	})
}

func TestRecordWrittenBetweenLookAndLeaseIsSeen(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var once sync.Once
		fl.workers[1].redis.set(func(op string) error {
			if op == "acquire" {
				once.Do(func() { time.Sleep(startTime + time.Second) })
			}
			return nil
		})
		var wg sync.WaitGroup
		var first, second answers
		first.ensure(&wg, fl.workers[0], plain)
		second.ensure(&wg, fl.workers[1], plain)
		wg.Wait()
		if b := second.built[0]; b.Outcome != run.BuildWaited || b.WaitedOn != "worker-0" {
			t.Errorf("answered %+v", b)
		}
	})
}

func TestFlightThatNobodyWaitsForDoesNotTakeABuildUp(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		go func() { _, _ = fl.workers[0].Ensure(context.Background(), numbers, builds.ForRun) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := fl.workers[1].Ensure(ctx, numbers, builds.ForRun); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		fl.workers[0].die()
		time.Sleep(10 * ttl)
		if _, ok := fl.workers[1].Busy(numbers.Hash); ok {
			t.Error("busy with what nobody waits for")
		}
		fl.expectMade(0, 0)
	})
}

func TestScriptsThatWaitForAnEnvLeaveThePlacesToIt(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		go func() { _, _ = fl.workers[0].Ensure(context.Background(), numbers, builds.ForRun) }()
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		var got answers
		for _, source := range strings.Split("abcdefghij", "") { // more scripts than places
			got.ensure(&wg, fl.workers[1], script("acme", source, "numpy"))
		}
		time.Sleep(time.Second)
		fl.workers[0].die()
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took > 2*ttl+layerTime+startTime || len(got.errs) > 0 {
			t.Errorf("took %s, errors %v", took, got.errs)
		}
		fl.expectMade(10, 1)
	})
}
