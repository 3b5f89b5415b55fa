package fairness

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

var costs = flag.Bool("costs", false, "count what a run costs, and print the table (make bench-costs)")

// load is the load of ten equal tenants on a dispatcher and one worker.
type load struct {
	name    string
	runs    int
	rate    int // per second; 0: all at once
	tenants int
	goal    goal
}

// goal is the limit of a run's costs; bounces are deliveries beyond the first.
type goal struct{ requests, trips, bounces float64 }

var loads = []load{
	{"burst", 2000, 0, 10, goal{0.65, 0.3, 0.01}},
	{"burst", 2000, 0, 1, goal{0.65, 0.3, 0.01}},
	{"steady", 6000, 2000, 10, goal{0.65, 0.3, 0.01}},
	{"steady", 800, 200, 10, goal{2.5, 1.5, 0.01}},
	{"steady", 100, 20, 10, goal{2.5, 1.5, 0.01}},
}

// plain are the default settings: tenants have their cap, and a poll waits as long
// as by default.
var plain = func() settings {
	s := normal
	s.maxRunning, s.maxBacklog, s.workers, s.pollWait = tenant.Defaults.MaxRunning, 10_000, 1, 10*time.Second
	return s
}()

// spent are the costs of a number of runs.
type spent struct {
	requests      map[string]int
	trips         int64
	commands      int64 // executed by Redis, those inside scripts included
	deliveries    int64
	took          time.Duration
	runs          int
	idle          map[string]int // requests in the ten idle seconds after the load
	commandsKnown bool
}

// TestCosts counts in virtual time, and then a burst on this machine with a real
// Redis, which counts the commands that it executed.
func TestCosts(t *testing.T) {
	if !*costs {
		return // the short form is below
	}
	for _, l := range loads {
		synctest.Test(t, func(t *testing.T) {
			s, end := virtualSite(t)
			defer end()
			c := s.spend(t, l)
			show(t, "in virtual time", l, c)
			c.record(t, l)
		})
	}
	if *wall {
		l := loads[0] // the others repeat what virtual time has shown
		c := realSite(t).spend(t, l)
		show(t, "on this machine", l, c)
		c.record(t, l)
	}
}

// TestARunCostsFewCalls is the short form. A single run takes six requests and
// four round trips. Short loads cost more than those of the table: the fleet
// has just begun to learn their rate.
func TestARunCostsFewCalls(t *testing.T) {
	for name, c := range map[string]struct {
		load load
		most goal
	}{
		"a burst": {load{runs: 500, tenants: 10}, goal{0.85, 0.3, 0.01}},
		"2,000/s": {load{runs: 600, rate: 2000, tenants: 10}, goal{0.95, 0.3, 0.01}},
		"200/s":   {load{runs: 100, rate: 200, tenants: 10}, goal{2.7, 2.0, 0.01}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, end := virtualSite(t)
			defer end()
			got := s.spend(t, c.load)
			if got.bounces() > c.most.bounces {
				t.Errorf("%s: %d deliveries served %d runs", name, got.deliveries, got.runs)
			}
			if n := got.each(got.trips); n > c.most.trips {
				t.Errorf("%s: a run took %.2f round trips to Redis", name, n)
			}
			if n := got.each(int64(sum(got.requests))); n > c.most.requests {
				t.Errorf("%s: a run took %.2f requests to SQS", name, n)
			}
		})
	}
}

// spend serves the load, and counts until one second after its last result.
func (s *site) spend(t *testing.T, l load) (c spent) {
	f := s.open(t, plain)
	defer f.close()
	requests, results := s.outer(t, f, queue.NamesOf(f.prefix, partitions).Requests), s.outer(t, f, queue.NamesOf(f.prefix, partitions).Results)
	names := equals(l.tenants)
	for _, name := range names {
		f.known(t, name, warmSource)
	}
	inmemory.Await(t.Context(), time.Second)

	requestsBefore, tripsBefore, commandsBefore := s.counted.so(t)
	began := time.Now()
	f.even(t.Context(), requests, names, l, runTakes)
	c.took = take(t.Context(), results, l.runs).Sub(began)
	inmemory.Await(t.Context(), time.Second)
	requestsAfter, tripsAfter, commandsAfter := s.counted.so(t)
	c.requests, c.trips, c.commands = less(requestsAfter, requestsBefore), tripsAfter-tripsBefore, commandsAfter-commandsBefore
	c.deliveries, c.runs, c.commandsKnown = f.received.Load(), l.runs, s.counted.server != nil
	inmemory.Await(t.Context(), 10*time.Second)
	idle, _, _ := s.counted.so(t)
	c.idle = less(idle, requestsAfter)
	return c
}

// take receives that many results, and returns the time of the last one.
func take(ctx context.Context, results queue.Queue, runs int) time.Time {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	taken, end := 0, time.Time{}
	var mu sync.Mutex
	var consumers sync.WaitGroup
	for range 4 {
		consumers.Go(func() {
			for ctx.Err() == nil {
				ds, err := results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
				if err != nil {
					return
				}
				results.Delete(ctx, ds)
				mu.Lock()
				if taken += len(ds); taken >= runs && end.IsZero() {
					end = time.Now()
					enough()
				}
				mu.Unlock()
			}
		})
	}
	consumers.Wait()
	return end
}

// outer is a queue for the tests' own calls, which are not counted.
func (s *site) outer(t *testing.T, f *fleet, name string) queue.Queue {
	q, err := sqsqueue.Open(t.Context(), s.outside, name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// equals are the names of n tenants that send the same.
func equals(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("equal-", i)
	}
	return names
}

// even sends the runs of equal tenants in turn: all at once, or each at its
// scheduled time.
func (f *fleet) even(ctx context.Context, requests queue.Queue, names []string, l load, takes time.Duration) {
	var sends sync.WaitGroup
	defer sends.Wait()
	due, together := time.Now(), queue.MaxBatch
	if l.rate > 0 {
		together = 1
	}
	for from := 0; from < l.runs; from += together {
		if l.rate > 0 {
			due = due.Add(time.Second / time.Duration(l.rate))
			inmemory.Await(ctx, time.Until(due))
		}
		var ms []queue.Message
		for i := from; i < min(from+together, l.runs); i++ {
			name := names[i%len(names)]
			ms = append(ms, queue.Message{Body: event(name, nextID(), warmSource, -1, takes), Group: name})
		}
		sends.Go(func() { requests.Send(ctx, ms) })
	}
}

// runTakes is the duration of a warm run of an empty script on Lambda.
const runTakes = 5 * time.Millisecond

// so returns the counts so far.
func (c *counted) so(t *testing.T) (requests map[string]int, trips, commands int64) {
	c.mu.Lock()
	requests = maps.Clone(c.requests)
	c.mu.Unlock()
	trips = c.trips.Load()
	if c.server == nil {
		return requests, trips, 0
	}
	for line := range strings.Lines(c.server.Info(t.Context(), "commandstats").Val()) {
		var n int64
		if _, after, ok := strings.Cut(line, ":calls="); ok && !strings.HasPrefix(line, "cmdstat_info") {
			_, _ = fmt.Sscanf(after, "%d", &n)
			commands += n
		}
	}
	c.trips.Add(-1)
	return requests, trips, commands
}

func less(after, before map[string]int) map[string]int {
	d := map[string]int{}
	for op, n := range after {
		if n -= before[op]; n > 0 {
			d[op] = n
		}
	}
	return d
}

func sum(of map[string]int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}

// each is a count divided by the number of runs.
func (c spent) each(n int64) float64 { return float64(n) / float64(c.runs) }

func (c spent) bounces() float64 { return c.each(c.deliveries) - 1 }

func show(t *testing.T, where string, l load, c spent) {
	t.Helper()
	rate := "at once"
	if l.rate > 0 {
		rate = fmt.Sprintf("%d/s", l.rate)
	}
	fmt.Printf("%s: %d runs of %d tenants, %s: %.0f runs/s\n", where, l.runs, l.tenants, rate, float64(c.runs)/c.took.Seconds())
	row := func(what string, figure, goal float64) {
		fmt.Printf("  %-32s %8.3f   goal %.2f\n", what, figure, goal)
	}
	row("SQS requests a run", c.each(int64(sum(c.requests))), l.goal.requests)
	row("Redis round trips a run", c.each(c.trips), l.goal.trips)
	if c.commandsKnown {
		row("Redis commands a run", c.each(c.commands), 10)
	}
	row("deliveries a run, above one", c.bounces(), l.goal.bounces)
	fmt.Printf("  of these requests:%s\n  in 10 idle seconds:%s\n", list(c.requests), list(c.idle))
}

func list(of map[string]int) (all string) {
	for _, op := range slices.Sorted(maps.Keys(of)) {
		all += fmt.Sprintf(" %s %d", op, of[op])
	}
	return all
}
