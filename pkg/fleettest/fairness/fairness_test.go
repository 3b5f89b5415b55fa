package fairness

import (
	"context"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

var (
	full   = flag.Bool("fairness", false, "measure the flood, and print the table (make bench-fairness)")
	wall   = flag.Bool("wall", true, "measure with the real parts too, by the wall's clock")
	filter = flag.String("measure", "", "measure only the lines whose name contains one of these, separated by commas")
)

// scenario is the behaviour of the flood.
type scenario struct {
	name   string
	rate   int // runs per second
	total  int
	takes  time.Duration
	fresh  bool // every run has its own script
	within time.Duration
	equals int // so many tenants send the total at once, in place of one at the rate
}

const quietCount = 20

var (
	flood = scenario{name: "flood", rate: 500, total: math.MaxInt, takes: quietTakes, within: 10 * time.Second}
	slow  = scenario{name: "slow", rate: 500, total: math.MaxInt, takes: 100 * quietTakes, within: 10 * time.Second}
	two   = scenario{name: "2 equals", equals: 2, total: 3000, takes: quietTakes, within: 5 * time.Second}
	ten   = scenario{name: "10 equals", equals: 10, total: 3000, takes: quietTakes, within: 5 * time.Second}
	fifty = scenario{name: "50 equals", equals: 50, total: 3000, takes: quietTakes, within: 5 * time.Second}
	fresh = scenario{name: "new scripts", rate: 500, total: 1000, takes: quietTakes, fresh: true, within: 10 * time.Second}
)

// line is a row of the table: a scenario, and the mechanism that is off.
type line struct {
	scenario scenario
	off      string
	set      func(*settings)
}

func lines() []line {
	shards := func(s *settings) { s.shard = partitions }
	fair := func(s *settings) { s.ungrouped = true }
	share := func(s *settings) { s.strangers = true }
	shares := func(s *settings) { s.weight = 1e12 }
	reserve := func(s *settings) { s.reserve = new(0) }
	caps := func(s *settings) { s.maxRunning = tenant.NoCap }
	side := func(s *settings) { s.noSide = true }
	places := func(s *settings) { s.maxBuilds = 100 }
	all := func(s *settings) {
		for _, off := range []func(*settings){shards, fair, share, shares, reserve, caps, side, places} {
			off(s)
		}
	}
	return []line{
		{flood, "nothing", nil},
		{slow, "nothing", nil},
		{fresh, "nothing", nil},
		{two, "nothing", nil},
		{ten, "nothing", nil},
		{fifty, "nothing", nil},
		{flood, "shards", shards},
		{flood, "fair delivery", fair},
		{flood, "shards, fair delivery", func(s *settings) { shards(s); fair(s) }},
		{flood, "side partition", side},
		{flood, "shares, caps, reserve", func(s *settings) { shares(s); caps(s); reserve(s) }},
		{slow, "caps", caps},
		{slow, "reserve", reserve},
		{slow, "caps, reserve", func(s *settings) { caps(s); reserve(s) }},
		{slow, "share in hand", share},
		{fresh, "build places", places},
		{flood, "all", all},
		{slow, "all", all},
		{fresh, "all", all},
	}
}

// TestFloodLeavesQuietTenantsTheirTurn is the short form: it asserts that all
// tenants make progress, not how fast.
func TestFloodLeavesQuietTenantsTheirTurn(t *testing.T) {
	s, tenants := realSite(t), quietTenants(quietCount)
	sc := scenario{name: "flood", rate: 100, total: 300, takes: quietTakes, within: 3 * time.Second}
	f := s.open(t, normal)
	defer f.close()
	f.prepare(t, tenants)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { f.quiet(ctx, tenants) })
	load.Go(func() { f.flood(ctx, sc) })
	inmemory.Await(ctx, sc.within)
	stop()
	load.Wait()
	const within = 30 * time.Second
	wait.Until(t, within, "not all runs of quiet tenants begin", func() bool { return f.begun.pending(time.Now()) == 0 })
	wait.Until(t, within, "no run of the flood begins", func() bool { return f.begun.floods() > 0 })
}

// TestTenEqualFloodsLeaveAQuietTenantItsTurn asserts promise 5 where no tenant is
// the one that floods. In virtual time the figures are those of the mechanisms:
// without budgets or without further polls of the requests queue the worst of
// the quiet runs waits for seconds.
func TestTenEqualFloodsLeaveAQuietTenantItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := virtualSite(t)
		defer end()
		half := ten // as long a backlog as the test needs
		half.total, half.within = ten.total/2, ten.within/2
		m := s.measure(t, line{scenario: half}, quietTenants(quietCount), nil)
		alone, beside := m.before.percentile(0.99), m.flooded.percentile(0.99)
		if beside > 6*alone || m.flooded.unbegun > 0 {
			t.Errorf("a quiet tenant waits %s, and %s alone; %d of its runs did not begin", beside, alone, m.flooded.unbegun)
		}
		if m.runsPerSecond < 550 {
			t.Errorf("the floods get on at %.0f runs a second, of the 600 that the workers can execute", m.runsPerSecond)
		}
	})
}

// TestFairness measures, first in virtual time and then in real time.
func TestFairness(t *testing.T) {
	if !*full {
		return // the short form is above
	}
	tenants := quietTenants(quietCount)
	show := &table{}
	show.head("in virtual time: no machine's noise, and no CPU time either")
	for _, l := range lines() {
		if !l.chosen() {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			s, end := virtualSite(t)
			defer end()
			m := s.measure(t, l, tenants, nil)
			show.line(l, m)
			l.record(t, m)
		})
	}
	show.builds()
	if !*wall {
		return
	}

	s := realSite(t)
	beside := s.open(t, normal)
	defer beside.close()
	beside.prepare(t, tenants)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go beside.quiet(ctx, tenants)
	show.head("on this machine: SQS over HTTP, a redis-server")
	for _, l := range lines() {
		if l.set == nil && l.chosen() {
			show.line(l, s.measure(t, l, tenants, beside))
		}
	}
	show.builds()
}

// measured is the result of one line.
type measured struct {
	before, beside, flooded waits
	newBefore, newFlooded   waits
	runsPerSecond, sqsCalls float64
}

func (s *site) measure(t *testing.T, l line, tenants []string, beside *fleet) (m measured) {
	set := normal
	if l.set != nil {
		l.set(&set)
	}
	f := s.open(t, set)
	defer f.close()
	f.prepare(t, append(equals(l.scenario.equals), tenants...))
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { f.quiet(ctx, tenants) })
	inmemory.Await(ctx, time.Second)

	began := time.Now()
	if l.scenario.fresh {
		load.Go(func() { f.newScripts(ctx, tenants, 2*time.Second) })
	}
	inmemory.Await(ctx, 4*time.Second)
	flooded, calls := time.Now(), f.calls.Load()
	load.Go(func() { f.flood(ctx, l.scenario) })
	if l.scenario.fresh {
		load.Go(func() { f.newScripts(ctx, tenants, l.scenario.within/2) })
	}
	inmemory.Await(ctx, l.scenario.within)
	end := time.Now()
	seconds := end.Sub(flooded).Seconds()
	m.runsPerSecond, m.sqsCalls = float64(f.begun.floods())/seconds, float64(f.calls.Load()-calls)/seconds
	inmemory.Await(ctx, time.Second) // for the runs that were sent last
	m.before, m.newBefore = f.begun.between(began, flooded, false), f.begun.between(began, flooded, true)
	m.flooded, m.newFlooded = f.begun.between(flooded, end, false), f.begun.between(flooded, end, true)
	if beside != nil {
		m.beside = beside.begun.between(flooded, end, false)
	}
	stop()
	load.Wait()
	return m
}

// prepare builds the scripts of all tenants.
func (f *fleet) prepare(t *testing.T, tenants []string) {
	for _, name := range append([]string{flooder}, tenants...) {
		f.known(t, name, warmSource)
	}
	f.creating.Store(int64(300 * time.Millisecond))
}

func (f *fleet) flood(ctx context.Context, sc scenario) {
	if sc.equals > 0 {
		f.even(ctx, f.requests, equals(sc.equals), load{runs: sc.total}, sc.takes)
		return
	}
	source := func() string { return warmSource }
	if sc.fresh {
		source = func() string { return "# flood " + nextID() }
	}
	f.pour(ctx, sc.rate, sc.total, sc.takes, source)
}

// table prints each line once it is measured, and keeps the rows for the end.
type table struct{ fresh []string }

func (b *table) head(how string) {
	fmt.Printf("\nfrom when a quiet tenant's run is due to the start of its script; %s\n\n", how)
	format := "%-12s %-22s %13s %13s %13s %8s %8s %8s %8s %8s\n"
	fmt.Printf(format, "", "", "before", "beside", "flooded", "p99 to", "p99 to", "", "flood", "SQS")
	fmt.Printf(format, "flood of", "off", "p50/p99 ms", "p50/p99 ms", "p50/p99 ms", "before", "beside", "unbegun", "runs/s", "calls/s")
}

func (b *table) line(l line, m measured) {
	fmt.Printf("%-12s %-22s %13s %13s %13s %8s %8s %8d %8.0f %8.0f\n", l.scenario.name, l.off, both(m.before), both(m.beside), both(m.flooded),
		ratio(m.flooded, m.before), ratio(m.flooded, m.beside), m.flooded.unbegun, m.runsPerSecond, m.sqsCalls)
	if l.scenario.fresh {
		b.fresh = append(b.fresh, fmt.Sprintf("%-12s %-22s %13s %13s %13s %8s %8s %8d", "", l.off, both(m.newBefore), "", both(m.newFlooded),
			ratio(m.newFlooded, m.newBefore), "", m.newFlooded.unbegun))
	}
}

// builds prints the waits for quiet tenants' own new scripts.
func (b *table) builds() {
	if len(b.fresh) > 0 {
		fmt.Printf("\nthe same for a quiet tenant's own new script, its build included\n\n%s\n", strings.Join(b.fresh, "\n"))
	}
	b.fresh = nil
}

func (l line) chosen() bool {
	return slices.ContainsFunc(strings.Split(*filter, ","), func(part string) bool {
		return strings.Contains(l.scenario.name+": "+l.off, part)
	})
}

func both(w waits) string {
	if len(w.all) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", w.percentile(0.5).Milliseconds(), w.percentile(0.99).Milliseconds())
}

func ratio(with, without waits) string {
	if len(without.all) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(with.percentile(0.99))/float64(without.percentile(0.99)))
}
