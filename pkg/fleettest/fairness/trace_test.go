package fairness

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	traced    = flag.Bool("traced", false, "count the builds of an eight-hour trace (make bench BENCH=trace)")
	traceFile = flag.String("invocations", "", "CSV `file` of invocations per minute, as of the Azure Functions trace of 2019; without it, a trace of the same skew is generated")
)

const (
	expireAfter = 10 * time.Minute // idle, after which a function is removed
	traceSeed   = 1
)

// Eight workers serve a trace. Every function is removed once it has been idle
// for ten minutes, so each use after that needs one build. All runs of a minute
// come in its first second, which is the worst herd.
func TestTrace(t *testing.T) {
	if !*traced {
		return // the short form is below
	}
	minutes := generateTrace(500, 480)
	if *traceFile != "" {
		minutes = readTrace(t, *traceFile)
	}
	s := replayTrace(t, minutes)
	fmt.Printf("%d runs of %d functions: %d builds needed, %d made; one build a miss makes %d\n", s.runs, len(minutes), s.needed, s.made, s.naive)
	figures.Record(t, "builds.trace", float64(s.made)/float64(s.needed))
	figures.Record(t, "builds.naive", float64(s.naive)/float64(s.needed))
}

// The short form.
func TestEachUseOfATraceAfterAnIdleTimeMakesOneBuild(t *testing.T) {
	if s := replayTrace(t, generateTrace(60, 40)); s.made != s.needed || s.naive <= s.needed {
		t.Errorf("of %d builds that are needed %d were made; one a miss would be %d", s.needed, s.made, s.naive)
	}
}

// traceBuilds are counts of builds: those needed, those made, and those of a
// control that builds at every miss.
type traceBuilds struct{ runs, needed, made, naive int }

// use is an invocation of a function of the trace.
type use struct {
	at       time.Duration
	function int
}

// replayTrace replays counts by function and minute.
func replayTrace(t *testing.T, minutes [][]int) (got traceBuilds) {
	random := rand.New(rand.NewPCG(traceSeed, 0))
	var uses []use
	for f, counts := range minutes {
		for minute, n := range counts {
			for range n {
				uses = append(uses, use{time.Duration(minute)*time.Minute + time.Duration(random.Float64()*float64(time.Second)), f})
			}
		}
	}
	slices.SortFunc(uses, func(a, b use) int { return int(a.at - b.at) })
	synctest.Test(t, func(t *testing.T) {
		r := newReplayer(t, len(minutes))
		began := time.Now()
		for _, u := range uses {
			if wait := u.at - time.Since(began); wait > 0 {
				time.Sleep(wait)
			}
			r.use(t.Context(), u.function, random.IntN(len(r.workers)))
		}
		r.running.Wait()
		got = traceBuilds{len(uses), r.needed, len(r.functions.Calls("Create")), r.naive}
		for _, b := range r.workers {
			_ = b.Close(t.Context())
		}
		if err := errors.Join(r.failed...); err != nil {
			t.Fatal(err)
		}
	})
	return got
}

type replayer struct {
	functions *memfunction.Functions
	workers   []*builds.Builder
	scripts   []run.Script
	running   sync.WaitGroup

	needed, naive int

	mu     sync.Mutex
	states []functionState
	failed []error
}

// functionState is of one function.
type functionState struct {
	used    time.Time // last; zero before the first use
	active  bool
	naiveBy time.Time // when the naive control's first build is ready
}

const buildTakes = time.Second // 300 ms to create, 700 ms to become active

func newReplayer(t *testing.T, functions int) *replayer {
	r := &replayer{states: make([]functionState, functions)}
	r.functions = memfunction.New(memfunction.Config{Pending: 700 * time.Millisecond, Behave: func(c memfunction.Call) memfunction.Behaviour {
		if c.Op == "Create" {
			return memfunction.Behaviour{Duration: 300 * time.Millisecond}
		}
		return memfunction.Behaviour{}
	}})
	leases, records, limiter := memlease.New(), memrecords.New(), memratelimit.New(function.ControlPlane)
	for i := range 8 {
		r.workers = append(r.workers, builds.New(builds.Config{Worker: fmt.Sprint("worker-", i), MaxBuilds: 16}, builds.Deps{
			Leases: leases, Records: records, Limiter: limiter, Maker: r.functions, Layers: none{}, Packager: none{},
			Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
		}))
	}
	for i := range functions {
		decoded, refused := policy.Decode(event("owner", "trace", fmt.Sprint(warmSource, " # ", i), 0, 0), time.Now())
		if refused != nil {
			t.Fatal(refused)
		}
		r.scripts = append(r.scripts, decoded.Script)
	}
	return r
}

// use runs the function on a worker. It builds it, if it must, in the background.
func (r *replayer) use(ctx context.Context, f, worker int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := &r.states[f], time.Now()
	if s.used.IsZero() || now.Sub(s.used) >= expireAfter {
		r.needed++
		r.naive++
		s.naiveBy = now.Add(buildTakes)
		if s.active {
			s.active = false
			if err := r.functions.Delete(ctx, r.name(f)); err != nil {
				r.failed = append(r.failed, err)
			}
		}
	} else if now.Before(s.naiveBy) {
		r.naive++
	}
	s.used = now
	if !s.active {
		r.running.Go(func() { r.run(ctx, f, r.workers[worker]) })
	}
}

// run does what a worker does: it has the function built, invokes it, and
// forgets it when Lambda does not know it.
func (r *replayer) run(ctx context.Context, f int, b *builds.Builder) {
	for {
		built, err := b.Ensure(ctx, r.scripts[f], builds.ForRun)
		if err == nil {
			_, err = r.functions.Invoke(ctx, "owner", built.Function, nil)
		}
		class := function.ClassOf(err)
		if err != nil && class == function.NotReady { // a run is put back, and comes again
			time.Sleep(time.Second)
			continue
		}
		if err != nil && (class == function.NotFound || class == function.BadState) {
			err = b.Forget(ctx, r.scripts[f])
			if err == nil {
				continue
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.failed = append(r.failed, err)
		}
		r.states[f].active, r.states[f].used = true, time.Now()
		return
	}
}

func (r *replayer) name(f int) string {
	return run.FunctionName("scriptfleet", r.scripts[f].Tenant, r.scripts[f].Hash)
}

// generateTrace has the skew of a sampled day of a public cloud: a third of the
// functions run at most once an hour, six of seven at most once a minute, and a
// tenth make almost all of the load.
func generateTrace(functions, minutes int) [][]int {
	random := rand.New(rand.NewPCG(traceSeed, 1))
	between := func(low, high float64) float64 { return low * math.Pow(high/low, random.Float64()) }
	trace := make([][]int, functions)
	for f := range trace {
		var rate float64 // a minute
		switch share := float64(f) / float64(functions); {
		case share < 0.32:
			rate = between(1.0/480, 1.0/60)
		case share < 0.86:
			rate = between(1.0/60, 1)
		case share < 0.9:
			rate = between(1, 20)
		default:
			rate = between(20, 600)
		}
		trace[f] = make([]int, minutes)
		for m := range trace[f] {
			trace[f][m] = poisson(random, rate)
		}
	}
	return trace
}

// poisson draws a count; above 30 the normal distribution is near enough.
func poisson(random *rand.Rand, mean float64) (n int) {
	if mean > 30 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*random.NormFloat64())))
	}
	for p := random.Float64(); p > math.Exp(-mean); p *= random.Float64() {
		n++
	}
	return n
}

// readTrace reads HashOwner, HashApp, HashFunction, Trigger and a count a
// minute.
func readTrace(t *testing.T, file string) (trace [][]int) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
	for _, row := range rows[1:] {
		var counts []int
		for _, cell := range row[4:] {
			n, err := strconv.Atoi(cell)
			if err != nil {
				t.Fatalf("%s: %q is no count", file, cell)
			}
			counts = append(counts, n)
		}
		trace = append(trace, counts)
	}
	return trace
}
