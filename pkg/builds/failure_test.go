package builds_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestAllWhoWaitGetTheSameReasonAndLog(t *testing.T) {
	inFleet(t, 3, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(run.EnvHash) error { return refusedByAuthor() })
		var wg sync.WaitGroup
		var got answers
		for i := range 30 {
			got.ensure(&wg, fl.workers[i%3], numbers)
		}
		wg.Wait()
		if n := got.outcomes(); n[run.BuildDidFail] != 1 || n[run.BuildWaited] != 29 {
			t.Errorf("outcomes %v", n)
		}
		logs := map[string]int{}
		for _, err := range got.errs {
			failed := err.(*builds.FailedError)
			if failed.Reason.Type != "RequirementNotFound" || failed.Reason.Owner != run.OwnerAuthor {
				t.Fatal(err)
			}
			logs[failed.Log]++
		}
		if len(logs) != 1 || logs[""] > 0 {
			t.Errorf("logs %v", logs)
		}
		if n := fl.layers.count(numbers); n != 1 {
			t.Errorf("built %d times", n)
		}
	})
}

func TestAuthorsFailureIsRememberedForMinutes(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(run.EnvHash) error { return refusedByAuthor() })
		fails(t, fl.workers[0], numbers)
		for range 4 {
			time.Sleep(time.Minute)
			for _, w := range fl.workers {
				if f := fails(t, w, numbers); f.Outcome != run.BuildRememberedFailure || f.Log == "" {
					t.Fatalf("answered %+v", f)
				}
			}
		}
		if f := fails(t, fl.workers[1], script("globex", "other", "numpy")); f.Outcome != run.BuildRememberedFailure {
			t.Errorf("another script of the env: %+v", f)
		}
		if n := fl.layers.count(numbers); n != 1 {
			t.Errorf("built %d times in 4 minutes", n)
		}
		fl.layers.failWith(nil)
		time.Sleep(time.Minute + time.Second)
		if b := ensure(t, fl.workers[1], numbers); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
	})
}

func TestSyntaxErrorBuildsNoLayer(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		s := script("acme", "syntax error", "numpy")
		if f := fails(t, fl.workers[0], s); f.Reason.Type != "SyntaxError" {
			t.Errorf("failed with %v", f)
		}
		if fl.layers.count(s) != 0 {
			t.Error("built a layer for a script that does not compile")
		}
	})
}

func TestTransientFailuresAreTriedAgainLessAndLessOften(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(run.EnvHash) error { return unreachableIndex() })
		var gaps []time.Duration
		start, last := time.Now(), time.Time{}
		for len(gaps) < 7 {
			f := fails(t, fl.workers[len(gaps)%2], numbers)
			if began := fl.layers.at["numpy"]; began != last {
				gaps = append(gaps, began.Sub(start))
				last, start = began, time.Now()
				if f.Outcome != run.BuildDidFail {
					t.Errorf("a probe answered %+v", f)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		for i, least := range []time.Duration{0, 5, 10, 20, 40, 60, 60} {
			if got := gaps[i]; got < least*time.Second || got > least*time.Second+2*time.Second {
				t.Errorf("try %d came after %s, want %ds", i, got, least)
			}
		}
		fl.layers.failWith(nil)
		time.Sleep(time.Minute)
		ensure(t, fl.workers[0], numbers)
	})
}

func TestOneProbeAtATime(t *testing.T) {
	inFleet(t, 4, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(run.EnvHash) error { return unreachableIndex() })
		fails(t, fl.workers[0], numbers)
		time.Sleep(6 * time.Second)
		var wg sync.WaitGroup
		var got answers
		for i := range 100 {
			got.ensure(&wg, fl.workers[i%4], numbers)
		}
		wg.Wait()
		if n := fl.layers.count(numbers); n != 2 {
			t.Errorf("built %d times, want the first and one probe", n)
		}
		if n := got.outcomes(); n[run.BuildDidFail] != 1 || n[run.BuildWaited] != 99 {
			t.Errorf("outcomes %v", n)
		}
	})
}

func TestFailureMissedByAWaiterIsItsAnswerAllTheSame(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(run.EnvHash) error { return unreachableIndex() })
		var wg sync.WaitGroup
		var got answers
		got.ensure(&wg, fl.workers[0], numbers)
		synctest.Wait()
		got.ensure(&wg, fl.workers[1], numbers)
		time.Sleep(time.Second)
		resume := fl.workers[1].pause()
		time.Sleep(layerTime + 10*time.Second) // longer than a first failure is remembered
		resume()
		wg.Wait()
		if n := fl.layers.count(numbers); n != 1 {
			t.Errorf("built %d times", n)
		}
	})
}

func TestOperatorsFailureSaysSo(t *testing.T) {
	for class, kind := range map[function.Class]string{
		function.Operator: builds.FunctionServiceFault,
		function.Denied:   builds.FunctionAccessDenied,
		function.Refused:  builds.FunctionRefused,
	} {
		inFleet(t, 1, func(t *testing.T, fl *fleet) {
			fl.lambda.set(func(_ context.Context, _ *worker, op, _ string) error {
				if op == "Create" {
					return serviceError(op, class)
				}
				return nil
			}, nil)
			f := fails(t, fl.workers[0], plain)
			if f.Reason.Owner != run.OwnerOperator || f.Reason.Type != kind || !f.Reason.Retryable {
				t.Errorf("%s: %+v", class, f.Reason)
			}
			if n := fl.lambda.called("Create"); n != 1 {
				t.Errorf("%s: called %d times", class, n)
			}
		})
	}
}

// The keys are fetched again by then, and the clock is set right.
func TestCallWhoseSignatureWasRefusedIsMadeAgain(t *testing.T) {
	for refusals, built := range map[int]bool{1: true, 99: false} {
		inFleet(t, 1, func(t *testing.T, fl *fleet) {
			fl.lambda.set(func(_ context.Context, _ *worker, op, _ string) error {
				if op == "Create" && fl.lambda.called("Create") <= refusals {
					return serviceError(op, function.BadSignature)
				}
				return nil
			}, nil)
			if built {
				ensure(t, fl.workers[0], plain)
				fl.expectMade(1, 0)
			} else if f := fails(t, fl.workers[0], plain); f.Reason.Owner != run.OwnerOperator || f.Reason.Type != builds.SignatureRefused {
				t.Errorf("%+v", f.Reason)
			}
		})
	}
}

func TestServiceThatStaysBrokenIsTheOperatorsFailure(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		fl.lambda.set(func(_ context.Context, _ *worker, op, _ string) error {
			return serviceError(op, function.Ambiguous)
		}, nil)
		f := fails(t, fl.workers[0], plain)
		if f.Reason.Owner != run.OwnerOperator || f.Reason.Type != builds.FunctionServiceFailed || !f.Reason.Retryable {
			t.Errorf("%+v", f.Reason)
		}
	})
}

func TestCallsThatHangEndAndAreMadeAgain(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		hung := 0
		fl.lambda.set(func(ctx context.Context, _ *worker, op, _ string) error {
			if op == "Create" && hung < 2 {
				hung++
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, nil)
		ensure(t, fl.workers[0], plain)
		fl.expectMade(1, 0)
	})
}

func TestTimeOfABuildStandsStillWhileItWaits(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		w := fl.add(builds.Config{BuildTimeout: layerTime + startTime/2})
		ensure(t, w, numbers) // its function takes another startTime after its layer
	})
}

func TestBuildThatTakesTooLongFails(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		w := fl.add(builds.Config{BuildTimeout: layerTime / 2})
		f := fails(t, w, numbers)
		if f.Reason.Type != builds.BuildTimeout || f.Reason.Owner != run.OwnerOperator {
			t.Errorf("%+v", f.Reason)
		}
		if f := fails(t, w, numbers); f.Outcome != run.BuildRememberedFailure {
			t.Errorf("then: %+v", f)
		}
	})
}
