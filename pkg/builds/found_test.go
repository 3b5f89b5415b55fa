package builds_test

import (
	"context"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

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

func TestANewEnvTakesTwoPacedCalls(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], numbers)
		if len(fl.lambda.log) != 2 || fl.lambda.called("FindLayer") > 0 {
			t.Errorf("calls of the paced control plane: %v", fl.lambda.log)
		}
	})
}

// The price of the call that a new env saves: if Redis has lost both the record
// and the leases, the layer of a known env is built once more.
func TestALayerIsPublishedAgainAfterAFlushAndNothingElseIs(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		ensure(t, fl.workers[0], numbers)
		fl.records.Flush()
		fl.leases.Flush()
		for range 2 {
			if b := ensure(t, fl.workers[1], script("acme", "other", "numpy")); b.Function == "" {
				t.Errorf("answered %+v", b)
			}
		}
		if b := ensure(t, fl.workers[1], numbers); b.Outcome != run.BuildReused {
			t.Errorf("answered %+v", b)
		}
		fl.expectMade(2, 2)
	})
}

func TestRecordOfAnotherFunctionIsNotBelieved(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		ctx := t.Context()
		for _, key := range []string{"script/" + string(numbers.Hash), "env/numpy"} {
			if err := fl.records.Put(ctx, key, builds.Record{ARN: "of-another-tenant", Fence: 1}, 0); err != nil {
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
		for range 5 { // five runs whose invokes did not find the function
			if err := fl.workers[0].Forget(t.Context(), numbers); err != nil {
				t.Fatal(err)
			}
		}
		if b := ensure(t, fl.workers[0], numbers); b.Outcome != run.BuildBuilt {
			t.Errorf("answered %+v", b)
		}
		fl.expectMade(2, 1)
		// The other worker notices late: its Forget must not drop the newer
		// record.
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
	for unansweredLooks := range 3 {
		inFleet(t, 1, func(t *testing.T, fl *fleet) {
			published, looks := false, unansweredLooks
			fl.lambda.set(nil, func(_ context.Context, _ *worker, op, _ string) error {
				switch {
				case op == "PublishLayer" && !published:
					published = true
					return serviceError(op, function.Ambiguous)
				case op == "FindLayer" && published && looks > 0:
					looks--
					return serviceError(op, function.Ambiguous)
				}
				return nil
			})
			ensure(t, fl.workers[0], numbers)
			fl.expectMade(1, 1)
		})
	}
}

func TestFunctionOfAnotherIsFoundWhereOnlyRefusedCallsCameBefore(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		refused := false
		fl.lambda.set(func(_ context.Context, _ *worker, op, name string) error {
			if op != "Create" || refused {
				return nil
			}
			refused = true
			fl.lambda.mu.Lock()
			defer fl.lambda.mu.Unlock()
			fl.lambda.functions[name] = &made{active: time.Now()}
			return serviceError(op, function.Throttled)
		}, nil)
		if b := ensure(t, fl.workers[0], plain); b.Outcome != run.BuildReused {
			t.Errorf("answered %+v", b)
		}
	})
}
