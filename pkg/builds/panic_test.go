package builds_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
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
		if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(`
# HELP scriptfleet_build_panics_total Panics, each of which failed one build.
# TYPE scriptfleet_build_panics_total counter
scriptfleet_build_panics_total 1
`), "scriptfleet_build_panics_total"); err != nil {
			t.Error(err)
		}
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
