package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

// fleet is the fleet of one seed, and its surroundings.
type fleet struct {
	plan  *plan
	off   mechanism
	began time.Time
	trace trace
	ok    atomic.Bool // all faults have ended
	told  atomic.Bool // all requests are sent

	requests, results, side     *memqueue.Queue
	requestsDead, partitionDead *memqueue.Queue
	partitions                  []*memqueue.Queue

	ledger    *memledger.Ledger
	leases    *memlease.Leases
	records   *memrecords.Records
	slots     *memslot.Slots
	limiter   *memratelimit.Limiter
	functions *memfunction.Functions
	layers    *layers

	dice sync.Mutex
	rng  *rand.Rand

	sitesMu sync.Mutex
	sites   []*site        // those that should run
	ever    []*site        // all that were started
	closing bool           // no site is started any more
	wg      sync.WaitGroup // goroutines of the simulation

	books
}

func newFleet(p *plan, off mechanism) *fleet {
	f := &fleet{
		plan: p, off: off, began: time.Now(), rng: rand.New(rand.NewPCG(p.seed, 2)),
		ledger: memledger.New(memledger.Config{}), leases: memlease.New(), records: memrecords.New(), slots: memslot.New(),
		limiter: memratelimit.New(ratelimit.Rate{PerSecond: 15, Burst: 5, Reserve: 2}),
	}
	f.functions = memfunction.New(memfunction.Config{Pending: 300 * time.Millisecond, Behave: f.behave})
	f.layers = &layers{f: f, builds: map[run.EnvHash][]*layerBuild{}}
	f.requests = memqueue.New("requests", f.options())
	f.results = memqueue.New("results", f.resultOptions())
	f.requestsDead = memqueue.New("requests-dlq", f.options())
	f.partitionDead = memqueue.New("partition-dlq", f.options())
	f.side = memqueue.New("side", f.options())
	for i := range p.partitions {
		f.partitions = append(f.partitions, memqueue.New(fmt.Sprint("partition-", i), f.options()))
	}
	f.books.open(p)
	return f
}

func (f *fleet) now() time.Duration { return time.Since(f.began) }
func (f *fleet) healthy() bool      { return f.ok.Load() }

func (f *fleet) roll(p float64) bool {
	if p <= 0 || f.healthy() {
		return false
	}
	f.dice.Lock()
	defer f.dice.Unlock()
	return f.rng.Float64() < p
}

func (f *fleet) between(low, high time.Duration) time.Duration {
	f.dice.Lock()
	defer f.dice.Unlock()
	return low + randomly(f.rng, high-low)
}

// startAll starts the plan's sites.
func (f *fleet) startAll() {
	for range f.plan.dispatchers {
		f.add(f.dispatcher())
	}
	for range f.plan.workers {
		f.add(f.worker())
	}
}

func (f *fleet) add(s *site) {
	f.sitesMu.Lock()
	defer f.sitesMu.Unlock()
	f.sites = append(f.sites, s)
	f.log(s.name, "starts")
	s.start()
}

// replace starts the successor of a site, once.
func (f *fleet) replace(s *site) {
	f.sitesMu.Lock()
	i := slices.Index(f.sites, s)
	if i < 0 || f.closing {
		f.sitesMu.Unlock()
		return
	}
	f.sites = slices.Delete(f.sites, i, i+1)
	f.sitesMu.Unlock()
	f.add(s.again())
}

// killed kills a site, and starts its successor a while later.
func (f *fleet) killed(s *site) {
	s.kill()
	f.wg.Go(func() {
		_ = pass(context.Background(), f.between(time.Second, 15*time.Second))
		f.replace(s)
	})
}

func (f *fleet) site(kind string, again func() *site) *site {
	f.sitesMu.Lock()
	defer f.sitesMu.Unlock()
	n := len(f.ever) + 1
	s := &site{f: f, kind: kind, name: fmt.Sprintf("%s-%d", kind, n), again: again, asked: asked{map[run.ScriptHash]bool{}, map[run.ScriptHash]int{}}, rng: rand.New(rand.NewPCG(f.plan.seed, uint64(100+n)))}
	f.ever = append(f.ever, s)
	return s
}

func (f *fleet) dispatcher() *site {
	s := f.site("dispatcher", f.dispatcher)
	d := dispatcher.New(dispatcher.Config{Pollers: 2, PollWait: 10 * time.Second, DepthEvery: 30 * time.Second}, dispatcher.Deps{
		Requests: s.queue(f.requests), Partitions: s.queues(f.partitions), Results: s.queue(f.results), DeadLetter: s.queue(f.requestsDead),
		Side: s.queue(f.side), PartitionDeadLetter: s.queue(f.partitionDead),
		Ledger: &siteLedger{f.ledger, s}, Tenants: f, Policy: policy, Log: f.logger(s.name), Registerer: prometheus.NewRegistry(),
	})
	s.run = func(intake, work context.Context) { _ = d.Run(intake, work) }
	return s
}

func (f *fleet) worker() *site {
	s := f.site("worker", f.worker)
	reg, log, functions := prometheus.NewRegistry(), f.logger(s.name), &siteFunctions{f.functions, s}
	after := f.plan.buildAfter
	if f.off == buildAfter {
		after = 1
	}
	builds := builds.New(builds.Config{Prefix: prefix, Worker: s.name, MaxBuilds: 2, BuildAfter: after}, builds.Deps{
		Leases: &siteLeases{f.leases, s}, Records: &siteRecords{f.records, s}, Limiter: f.limiter, Maker: functions,
		Layers: &siteLayers{f.layers, s}, Packager: packer{}, Log: log, Registerer: reg,
	})
	deps := worker.Deps{
		Partitions: s.queues(f.partitions), Side: s.queue(f.side), Results: s.queue(f.results), DeadLetter: s.queue(f.partitionDead),
		Ledger: &siteLedger{f.ledger, s}, Builds: siteBuilds{builds, s}, Functions: functions, Credentials: credentials{},
		Slots: &siteSlots{f.slots, s}, Tenants: f, Policy: policy, Log: log, Registerer: reg,
	}
	if f.off == parking {
		deps.Builds = eager{siteBuilds{builds, s}}
	}
	w := worker.New(worker.Config{
		Name: s.name, Concurrency: f.plan.concurrency, MaxParked: f.plan.maxParked, PollWait: 10 * time.Second, Visibility: visibility,
		EnvRunner: true,
	}, deps)
	s.run = func(intake, work context.Context) {
		_ = w.Run(intake, work)
		_ = builds.Close(ended)
	}
	return s
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Admit and Limits implement the operator's settings.
func (f *fleet) Admit(string) *run.Error { return nil }

func (f *fleet) Limits(string) tenant.Limits {
	return tenant.Limits{
		MaxRunning: f.plan.cap, MaxRunningPerScript: tenant.NoCap, Weight: 1,
		MaxBacklog: f.plan.maxBacklog, Partitions: 2,
	}
}

func (s *site) queue(q queue.Queue) queue.Queue { return &siteQueue{q, s} }

func (s *site) queues(qs []*memqueue.Queue) []queue.Queue {
	var all []queue.Queue
	for _, q := range qs {
		all = append(all, s.queue(q))
	}
	return all
}
