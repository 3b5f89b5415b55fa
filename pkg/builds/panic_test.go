package builds_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestPanicFailsItsBuildAndNoOther(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(env run.EnvHash) error {
			if env == "cursed" {
				panic("index out of range")
			}
			return nil
		})
		w := fl.workers[0]
		cursed := script("acme", "cursed", "cursed")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := w.Ensure(t.Context(), cursed, builds.ForRun)
				var failed *builds.FailedError
				if !errors.As(err, &failed) || failed.Reason.Owner != run.OwnerPlatform || !strings.Contains(failed.Reason.Message, "under the id") {
					t.Errorf("a build that panics ends with %v", err)
				}
			})
		}
		wg.Go(func() {
			if _, err := w.Ensure(t.Context(), numbers, builds.ForRun); err != nil {
				t.Errorf("the build beside it ends with %v", err)
			}
		})
		wg.Wait()
		w.expectPanics(t, 1)
	})
}

func TestPanicBesideABuildEndsItsFlightAlone(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		var once sync.Once
		w.redis.set(func(op string) error {
			if op == "acquire" {
				once.Do(func() { panic("acquire") })
			}
			return nil
		})
		if _, err := w.Ensure(t.Context(), plain, builds.ForRun); err == nil || !strings.Contains(err.Error(), "under the id") {
			t.Errorf("it ends with %v", err)
		}
		if _, err := w.Ensure(t.Context(), plain, builds.ForRun); err != nil {
			t.Errorf("the next one ends with %v", err)
		}
	})
}

// TestPanicThatTheBuilderOfLayersHasCaughtIsReported: it comes as an error,
// with the stack of the goroutine that it was in.
func TestPanicThatTheBuilderOfLayersHasCaughtIsReported(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		p := panics.Catch(func() { panic("index out of range") })
		fl.layers.failWith(func(run.EnvHash) error { return fmt.Errorf("build layer: %w", p) })
		w := fl.workers[0]
		_, err := w.Ensure(t.Context(), numbers, builds.ForRun)
		var failed *builds.FailedError
		if !errors.As(err, &failed) || failed.Reason.Owner != run.OwnerPlatform || !strings.Contains(failed.Reason.Message, p.ID) {
			t.Errorf("it ends with %v", err)
		}
		w.expectPanics(t, 1)
	})
}

func TestPanicWhileALeaseIsRenewedFailsItsBuildAndNoOther(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		var once sync.Once
		w.redis.set(func(op string) error {
			if op == "renew" {
				once.Do(func() { panic("renew") })
			}
			return nil
		})
		if _, err := w.Ensure(t.Context(), numbers, builds.ForRun); err != nil {
			t.Errorf("it is not taken up again: %v", err)
		}
		w.expectPanics(t, 1)
	})
}

func (w *worker) expectPanics(t *testing.T, n int) {
	t.Helper()
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(fmt.Sprintf(`
# HELP scriptfleet_build_panics_total Panics, each of which failed one build.
# TYPE scriptfleet_build_panics_total counter
scriptfleet_build_panics_total %d
`, n)), "scriptfleet_build_panics_total"); err != nil {
		t.Error(err)
	}
}
