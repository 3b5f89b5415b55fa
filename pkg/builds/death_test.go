package builds_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// point is where a leader is killed or paused: before or after a call of Lambda
// or of Redis.
type point struct {
	op    string
	after bool
}

var points = []point{
	{"Await", false}, {"FindLayer", false}, {"FindLayer", true},
	{"PublishLayer", false}, {"PublishLayer", true},
	{"Create", false}, {"Create", true}, {"Await", true},
	{"put", false}, {"release", false},
}

func (p point) String() string {
	if p.after {
		return "after " + p.op
	}
	return "before " + p.op
}

// at calls hit once, when the worker reaches the point.
func (fl *fleet) at(p point, w *worker, hit func()) {
	var once sync.Once
	strike := func(_ context.Context, by *worker, op, _ string) error {
		if by == w && op == p.op {
			once.Do(hit)
		}
		return nil
	}
	w.redis.set(func(op string) error { return strike(context.Background(), w, op, "") })
	if p.after {
		fl.lambda.set(nil, strike)
	} else {
		fl.lambda.set(strike, nil)
	}
}

// ledBefore leaves the lease of a leader that did nothing, where the point is a
// look for the layer: the first leader of an env does not look.
func (fl *fleet) ledBefore(p point, s run.Script) {
	fl.t.Helper()
	if p.op != "FindLayer" {
		return
	}
	l, err := fl.leases.Acquire(fl.t.Context(), "build/env/"+string(s.EnvHash), "earlier", ttl)
	if err != nil {
		fl.t.Fatal(err)
	}
	if err := fl.leases.Release(fl.t.Context(), l); err != nil {
		fl.t.Fatal(err)
	}
}

func TestLeaderThatDiesIsSucceeded(t *testing.T) {
	for _, p := range points {
		t.Run(p.String(), func(t *testing.T) {
			inFleet(t, 3, func(t *testing.T, fl *fleet) {
				victim := fl.workers[0]
				fl.ledBefore(p, numbers)
				fl.at(p, victim, victim.die)
				go func() { _, _ = victim.Ensure(context.Background(), numbers, builds.ForRun) }()
				synctest.Wait()
				start := time.Now()
				var wg sync.WaitGroup
				var got answers
				for i := range 20 {
					got.ensure(&wg, fl.workers[1+i%2], numbers)
				}
				wg.Wait()
				if len(got.errs) > 0 {
					t.Fatal(got.errs)
				}
				if took := time.Since(start); took > 2*(ttl+layerTime+startTime)+5*time.Second {
					t.Errorf("took %s", took)
				}
				fl.expectMade(1, 1)
				if n := fl.layers.count(numbers); n > 2 {
					t.Errorf("the layer was built %d times by one builder that died and its successor", n)
				}
			})
		})
	}
}

func TestLeaderThatWakesAfterItsLeaseBreaksNothing(t *testing.T) {
	for _, p := range points {
		t.Run(p.String(), func(t *testing.T) {
			inFleet(t, 2, func(t *testing.T, fl *fleet) {
				sleeper, other := fl.workers[0], fl.workers[1]
				resume := make(chan func(), 1)
				fl.ledBefore(p, numbers)
				fl.at(p, sleeper, func() { resume <- sleeper.pause() })
				var wg sync.WaitGroup
				var slept, got answers
				slept.ensure(&wg, sleeper, numbers)
				synctest.Wait()
				time.Sleep(layerTime) // a point after the layer is reached by now
				synctest.Wait()
				got.ensure(&wg, other, numbers)
				time.Sleep(2*ttl + layerTime + startTime)
				select {
				case resume := <-resume:
					resume()
				default:
					t.Fatal("the point was not reached")
				}
				wg.Wait()
				if len(got.errs)+len(slept.errs) > 0 {
					t.Fatal(got.errs, slept.errs)
				}
				// A second layer version is allowed only where the process was
				// stopped just before its publish, which takes effect on
				// resume.
				functions, layers := fl.lambda.created()
				if functions != 1 || layers > 2 || layers == 2 && p != (point{"PublishLayer", false}) {
					t.Errorf("%d functions, %d layers", functions, layers)
				}
				fl.expectRecordBy(numbers, other, p)
			})
		})
	}
}

// expectRecordBy checks that a paused leader did not overwrite its successor's
// record. If it wrote its record before the pause, that record is there.
func (fl *fleet) expectRecordBy(s run.Script, w *worker, p point) {
	fl.t.Helper()
	rec, ok, err := fl.records.Get(fl.t.Context(), "script/"+string(s.Hash))
	if err != nil || !ok || rec.ARN == "" {
		fl.t.Fatalf("record %+v, there %t, error %v", rec, ok, err)
	}
	if rec.Builder != w.name && p.op != "release" {
		fl.t.Errorf("the record is %s's, want its successor's", rec.Builder)
	}
}

func TestLesserFenceDoesNotWriteTheRecord(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		slow, fast := fl.workers[0], fl.workers[1]
		fl.lambda.set(nil, func(_ context.Context, w *worker, op, name string) error {
			if w == slow && op == "Create" {
				time.Sleep(4 * time.Second) // less than the 5 s between renewals
			}
			return nil
		})
		var wg sync.WaitGroup
		var got answers
		got.ensure(&wg, slow, plain)
		synctest.Wait()
		fl.leases.Flush() // a second worker can now hold the lease before the first notices
		time.Sleep(time.Millisecond)
		got.ensure(&wg, fast, plain)
		wg.Wait()
		fl.expectRecordBy(plain, fast, point{})
		fl.expectMade(1, 0)
		if len(got.errs) > 0 {
			t.Error(got.errs)
		}
	})
}

func TestFlushInMidBuildCausesNoSecondBuild(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 4 * time.Second, 7 * time.Second, layerTime + time.Second} {
		inFleet(t, 4, func(t *testing.T, fl *fleet) {
			var wg sync.WaitGroup
			var got answers
			for i := range 100 {
				got.ensure(&wg, fl.workers[i%4], numbers)
			}
			time.Sleep(after)
			fl.records.Flush()
			fl.leases.Flush()
			wg.Wait()
			fl.expectMade(1, 1)
			if n := fl.layers.count(numbers); n != 1 || len(got.errs) > 0 {
				t.Errorf("flush after %s: the layer was built %d times; errors %v", after, n, got.errs)
			}
		})
	}
}

func TestRedisAwayDelaysAndNothingFails(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var got answers
		for _, w := range fl.workers {
			w.redis.set(away())
			for range 10 {
				got.ensure(&wg, w, numbers)
			}
		}
		time.Sleep(time.Minute)
		fl.expectMade(0, 0)
		for _, w := range fl.workers {
			w.redis.set(nil)
		}
		wg.Wait()
		fl.expectMade(1, 1)
		if len(got.errs) > 0 {
			t.Error(got.errs)
		}
	})
}

func TestRedisAwayForLessThanTheLeaseIsNotNoticed(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var got answers
		got.ensure(&wg, fl.workers[0], numbers)
		got.ensure(&wg, fl.workers[1], numbers)
		time.Sleep(4 * time.Second)
		for _, w := range fl.workers {
			w.redis.set(away())
		}
		time.Sleep(6 * time.Second)
		for _, w := range fl.workers {
			w.redis.set(nil)
		}
		wg.Wait()
		fl.expectMade(1, 1)
		if n := fl.layers.count(numbers); n != 1 || len(got.errs) > 0 {
			t.Errorf("the layer was built %d times; errors %v", n, got.errs)
		}
	})
}

func TestLeaderCutOffFromRedisStopsBeforeAnotherBegins(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var cutAt, begunAt time.Time
		cut, other := fl.workers[0], fl.workers[1]
		fl.lambda.set(func(ctx context.Context, w *worker, op, _ string) error {
			if op != "Create" {
				return nil
			}
			if w == other {
				begunAt = time.Now()
				return nil
			}
			cut.redis.set(away())
			<-ctx.Done()
			cutAt = time.Now()
			if !errors.Is(context.Cause(ctx), lease.ErrLost) {
				t.Errorf("ended with %v", context.Cause(ctx))
			}
			return ctx.Err()
		}, nil)
		var wg sync.WaitGroup
		var got answers
		got.ensure(&wg, cut, plain)
		synctest.Wait()
		got.ensure(&wg, other, plain)
		time.Sleep(2 * ttl)
		cut.redis.set(nil)
		wg.Wait()
		if cutAt.IsZero() || begunAt.Sub(cutAt) < time.Second {
			t.Errorf("one stopped at %s, the other began at %s", cutAt, begunAt)
		}
		fl.expectMade(1, 0)
		if len(got.errs) > 0 {
			t.Error(got.errs)
		}
	})
}

func TestBuiltAndUnwrittenIsBuiltAllTheSame(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		fl.workers[0].redis.set(away("put"))
		if b := ensure(t, fl.workers[0], numbers); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
		if b := ensure(t, fl.workers[1], numbers); b.Outcome != run.BuildReused {
			t.Errorf("the other: %+v", b)
		}
		fl.expectMade(1, 1)
	})
}

func TestCloseLetsBuildsFinish(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		var wg sync.WaitGroup
		var got answers
		got.ensure(&wg, w, numbers)
		time.Sleep(time.Second)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if len(got.errs) > 0 {
			t.Error(got.errs)
		}
		if _, err := w.Ensure(t.Context(), plain, builds.ForRun); !errors.Is(err, builds.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestCloseEndsBuildsThatTakeTooLongAndGivesTheirLeasesBack(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var first, second answers
		first.ensure(&wg, fl.workers[0], numbers)
		synctest.Wait()
		second.ensure(&wg, fl.workers[1], numbers)
		time.Sleep(time.Second)
		start := time.Now()
		if err := fl.workers[0].Close(ended); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if len(first.errs) != 1 || !errors.Is(first.errs[0], builds.ErrClosed) {
			t.Errorf("the one that waited was told %v", first.errs)
		}
		if took := time.Since(start); took > layerTime+startTime+time.Second || len(second.errs) > 0 {
			t.Errorf("taken up after %s, errors %v", took, second.errs)
		}
		fl.expectMade(1, 1)
	})
}

func TestThrottledCallsGoOnWithinTheBuild(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		until := time.Now().Add(time.Minute)
		fl.lambda.set(func(_ context.Context, _ *worker, op, _ string) error {
			if time.Now().Before(until) {
				return serviceError(op, function.Throttled)
			}
			return nil
		}, nil)
		ensure(t, fl.workers[0], numbers)
		fl.expectMade(1, 1)
		if n := fl.lambda.called("Await"); n > 40 {
			t.Errorf("%d calls in a minute of throttling", n)
		}
	})
}
