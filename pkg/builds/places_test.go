package builds_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
)

func TestOneNewScriptDoesNotWaitForAThousandOfAnotherTenant(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var flood answers
		for i := range 100 {
			flood.ensure(&wg, fl.workers[0], script("flood", fmt.Sprint(i), fmt.Sprint("env", i)))
		}
		time.Sleep(time.Second)
		start := time.Now()
		ensure(t, fl.workers[0], numbers)
		// The quiet tenant's build is next after one build under way has ended.
		if took := time.Since(start); took > 2*layerTime+startTime+3*time.Second {
			t.Errorf("took %s beside a flood", took)
		}
		time.Sleep(20 * time.Second)
		if n := fl.leases.Held(); n > 2*4+1 {
			t.Errorf("%d leases are held by 4 builds, of a layer and a function each", n)
		}
		wg.Wait()
		if len(flood.errs) > 0 {
			t.Error(flood.errs)
		}
	})
}

func TestBuildsThatRunsWaitForGoBeforeBuildsAhead(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 100 {
			s := script("acme", fmt.Sprint(i), fmt.Sprint("env", i))
			wg.Go(func() { _, _ = w.Ensure(ctx, s, builds.Ahead) })
		}
		time.Sleep(time.Second)
		start := time.Now()
		ensure(t, w, numbers) // of the same tenant
		if took := time.Since(start); took > layerTime+startTime+3*time.Second {
			t.Errorf("took %s behind builds ahead: one place is kept free of them", took)
		}
		cancel()
		wg.Wait()
	})
}

func TestRunThatJoinsABuildAheadTakesItForward(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		last := script("acme", "last", "env-last")
		for i := range 100 {
			s := script("acme", fmt.Sprint(i), fmt.Sprint("env", i))
			wg.Go(func() { _, _ = w.Ensure(ctx, s, builds.Ahead) })
		}
		synctest.Wait()
		wg.Go(func() { _, _ = w.Ensure(ctx, last, builds.Ahead) })
		time.Sleep(time.Second)
		start := time.Now()
		ensure(t, w, last)
		if took := time.Since(start); took > layerTime+startTime+3*time.Second {
			t.Errorf("took %s, though a run waits for it", took)
		}
		cancel()
		wg.Wait()
	})
}

func TestPlacesGoInTheOrderOfPriorities(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		w := fl.add(builds.Config{MaxBuilds: 1})
		var wg sync.WaitGroup
		var mu sync.Mutex
		var went []builds.Priority
		build := func(p builds.Priority) {
			wg.Go(func() {
				_, _ = w.Ensure(t.Context(), script("acme", fmt.Sprint("of priority ", p), fmt.Sprint("env", p)), p)
				mu.Lock()
				defer mu.Unlock()
				went = append(went, p)
			})
			time.Sleep(time.Second)
		}
		wg.Go(func() { _, _ = w.Ensure(t.Context(), numbers, builds.ForRun) }) // has the place
		time.Sleep(time.Second)
		for _, p := range []builds.Priority{builds.Ahead, builds.Behind, builds.ForRunner, builds.ForRun} {
			build(p)
		}
		wg.Wait()
		if want := []builds.Priority{builds.ForRun, builds.ForRunner, builds.Behind, builds.Ahead}; !slices.Equal(went, want) {
			t.Errorf("built in the order %v, want %v", went, want)
		}
	})
}

func TestTokensAreAskedForWithTheBuildsPriority(t *testing.T) {
	for _, pr := range []builds.Priority{builds.ForRun, builds.ForRunner, builds.Behind} {
		inFleet(t, 0, func(t *testing.T, fl *fleet) {
			p := &priorities{Limiter: fl.limiter, asked: map[ratelimit.Priority]int{}}
			fl.limiter = p
			if _, err := fl.add(builds.Config{}).Ensure(t.Context(), numbers, pr); err != nil {
				t.Fatal(err)
			}
			if len(p.asked) != 1 || p.asked[pr] != 2 { // one for the layer, one for the function
				t.Errorf("a build of priority %d asked with %v", pr, p.asked)
			}
		})
	}
}

// priorities counts the requests for tokens by priority.
type priorities struct {
	ratelimit.Limiter
	mu    sync.Mutex
	asked map[ratelimit.Priority]int
}

func (p *priorities) Wait(ctx context.Context, pr ratelimit.Priority) error {
	p.mu.Lock()
	p.asked[pr]++
	p.mu.Unlock()
	if pr == ratelimit.Ahead {
		<-ctx.Done() // no token for builds made ahead
		return ctx.Err()
	}
	return p.Limiter.Wait(ctx, pr)
}

func TestRunThatJoinsTakesItsPlaceForTokensToo(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		p := &priorities{Limiter: fl.limiter, asked: map[ratelimit.Priority]int{}}
		fl.limiter = p
		w := fl.add(builds.Config{})
		go func() { _, _ = w.Ensure(context.Background(), plain, builds.Ahead) }()
		time.Sleep(10 * time.Second)
		p.mu.Lock()
		if p.asked[ratelimit.Ahead] != 1 || p.asked[ratelimit.Waited] != 0 {
			t.Errorf("asked %v", p.asked)
		}
		p.mu.Unlock()
		start := time.Now()
		ensure(t, w, plain)
		if took := time.Since(start); took > startTime+time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestBuildAheadDoesNotHoldItsLeaseForEver(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		fl.limiter = &priorities{Limiter: fl.limiter, asked: map[ratelimit.Priority]int{}}
		first, second := fl.add(builds.Config{}), fl.add(builds.Config{})
		go func() { _, _ = first.Ensure(context.Background(), plain, builds.Ahead) }()
		time.Sleep(time.Second)
		start := time.Now()
		ensure(t, second, plain) // a run of another worker
		if took := time.Since(start); took > 40*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestBuildsDrawOnTheFleetsTokens(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		fl.limiter = memratelimit.New(ratelimit.Rate{PerSecond: 2, Burst: 1})
		w := fl.add(builds.Config{MaxBuilds: 100})
		var wg sync.WaitGroup
		var got answers
		start := time.Now()
		for i := range 40 {
			got.ensure(&wg, w, script("acme", fmt.Sprint(i), ""))
		}
		wg.Wait()
		if took := time.Since(start); took < 19*time.Second {
			t.Errorf("40 creates at 2 a second took %s", took)
		}
	})
}

func TestBusyNamesTheLeader(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var got answers
		got.ensure(&wg, fl.workers[0], numbers)
		synctest.Wait()
		got.ensure(&wg, fl.workers[1], numbers)
		got.ensure(&wg, fl.workers[1], script("acme", "other", "numpy"))
		time.Sleep(time.Second)
		for _, w := range fl.workers {
			if leader, ok := w.Busy(numbers.Hash); !ok || leader != "worker-0" {
				t.Errorf("%s waits for %q, %t", w.name, leader, ok)
			}
		}
		if leader, ok := fl.workers[1].Busy("acme-other"); !ok || leader != "worker-0" {
			t.Errorf("a script whose env another worker builds waits for %q, %t", leader, ok)
		}
		wg.Wait()
		if _, ok := fl.workers[0].Busy(numbers.Hash); ok {
			t.Error("busy with what is built")
		}
	})
}

func TestMemoryOfKnownFunctionsIsBounded(t *testing.T) {
	inFleet(t, 0, func(t *testing.T, fl *fleet) {
		w := fl.add(builds.Config{MaxKnown: 3})
		for i := range 10 {
			ensure(t, w, script("acme", fmt.Sprint(i), ""))
		}
		known := 0
		for i := range 10 {
			if _, ok := w.Known(script("acme", fmt.Sprint(i), "")); ok {
				known++
			}
		}
		if known != 3 {
			t.Errorf("%d known, want 3", known)
		}
	})
}

// metric returns the sum of a metric's series with these labels, in a worker.
func metric(t *testing.T, w *worker, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if text := m.String(); !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(text, fmt.Sprintf("%q", l)) }) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestMetricsTellWhatSharedBuildsSpare(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		var wg sync.WaitGroup
		var got answers
		for i := range 100 {
			got.ensure(&wg, fl.workers[i%2], numbers)
		}
		wg.Wait()
		ensure(t, fl.workers[0], script("acme", "another", numbers.Requirements))
		fails(t, fl.workers[0], script("acme", "syntax error", ""))
		fails(t, fl.workers[0], script("acme", "syntax error", ""))

		sums := map[string]float64{}
		for _, w := range fl.workers {
			for _, name := range []string{"coalesced_total", "saved_seconds_total", "failures_remembered", "token_wait_seconds"} {
				sums[name] += metric(t, w, "scriptfleet_build_"+name)
			}
			for _, layer := range []string{"built", "shared"} {
				sums[layer] += metric(t, w, "scriptfleet_build_layers_total", layer)
			}
			sums["created"] += metric(t, w, "scriptfleet_build_calls_total", "Create")
		}
		if least := 99 * (layerTime + startTime).Seconds(); sums["saved_seconds_total"] < least {
			t.Errorf("99 runs were spared %.0f s, at least %.0f are right", sums["saved_seconds_total"], least)
		}
		delete(sums, "saved_seconds_total")
		// Tokens: to publish the layer, and for two functions.
		want := map[string]float64{"coalesced_total": 99, "failures_remembered": 1, "built": 1, "shared": 1, "created": 2, "token_wait_seconds": 3}
		if !maps.Equal(sums, want) {
			t.Errorf("%v, not %v", sums, want)
		}
	})
}

func TestMetricsCountBuildsOnce(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		w := fl.workers[0]
		var wg sync.WaitGroup
		var got answers
		for range 50 {
			got.ensure(&wg, w, numbers)
		}
		wg.Wait()
		fails(t, w, script("acme", "syntax error", ""))
		want := `
# HELP scriptfleet_build_finished_total Builds that this worker began and that ended.
# TYPE scriptfleet_build_finished_total counter
scriptfleet_build_finished_total{outcome="built",step="env"} 1
scriptfleet_build_finished_total{outcome="built",step="runner"} 0
scriptfleet_build_finished_total{outcome="built",step="script"} 1
scriptfleet_build_finished_total{outcome="closed",step="env"} 0
scriptfleet_build_finished_total{outcome="closed",step="runner"} 0
scriptfleet_build_finished_total{outcome="closed",step="script"} 0
scriptfleet_build_finished_total{outcome="failed",step="env"} 0
scriptfleet_build_finished_total{outcome="failed",step="runner"} 0
scriptfleet_build_finished_total{outcome="failed",step="script"} 1
scriptfleet_build_finished_total{outcome="lost",step="env"} 0
scriptfleet_build_finished_total{outcome="lost",step="runner"} 0
scriptfleet_build_finished_total{outcome="lost",step="script"} 0
# HELP scriptfleet_build_started_total Builds that this worker began.
# TYPE scriptfleet_build_started_total counter
scriptfleet_build_started_total{step="env"} 1
scriptfleet_build_started_total{step="runner"} 0
scriptfleet_build_started_total{step="script"} 2
# HELP scriptfleet_build_queue Builds that wait for a place in this worker.
# TYPE scriptfleet_build_queue gauge
scriptfleet_build_queue 0
# HELP scriptfleet_build_waiting Callers that wait for a build.
# TYPE scriptfleet_build_waiting gauge
scriptfleet_build_waiting 0
`
		names := []string{"scriptfleet_build_finished_total", "scriptfleet_build_started_total", "scriptfleet_build_queue", "scriptfleet_build_waiting"}
		if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	})
}
