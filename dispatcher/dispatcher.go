// Package dispatcher takes run requests from the requests queue and places them
// on the partitions.
//
// A request is received, then admitted (decoded and validated; a refused one is
// answered or buried), accepted in the ledger, sent to a partition of its
// tenant's shard, and deleted from the requests queue. Each step may be
// repeated: after a crash before the delete the request comes again, and the
// workers recognise a run that they have seen. A request is deleted only once
// what it became is on its next queue, so none is lost.
//
// A dispatcher has no state that must survive; any number of them may run.
// While the ledger or the requests queue is out of reach, a dispatcher puts
// back the requests in hand and pauses its intake. While a partition is out of
// reach, it puts back the requests of tenants whose other partitions are out of
// reach too, and sends all others.
package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// Config configures a Dispatcher. A zero value means the noted default.
type Config struct {
	Pollers        int            // limit of concurrent polls of the requests queue; default 64
	PollWait       time.Duration  // of one long poll; default 10 s
	MaxLinger      *time.Duration // how long a step waits for others to share its call, if they are expected; default 5 ms
	DepthEvery     time.Duration  // interval of reading the queues' depths; default 2 s
	MaxInHand      int            // limit of requests in hand, at work or in line for that; default 4,000
	MaxInHandBytes int            // limit of their bodies together, at which no new poll begins; default 16 MiB
}

func (c Config) withDefaults() Config {
	if c.Pollers == 0 {
		c.Pollers = 64
	}
	if c.PollWait == 0 {
		c.PollWait = 10 * time.Second
	}
	if c.MaxLinger == nil {
		c.MaxLinger = new(batch.OnTheWay)
	}
	if c.DepthEvery == 0 {
		c.DepthEvery = 2 * time.Second
	}
	if c.MaxInHand == 0 {
		c.MaxInHand = 4000
	}
	if c.MaxInHandBytes == 0 {
		c.MaxInHandBytes = 16 << 20
	}
	return c
}

// Ledger is the part of [ledger.Ledger] that the dispatcher uses.
type Ledger interface {
	Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error)
	Cancel(ctx context.Context, e ledger.Entry) (ledger.State, error)
	outbox.Ledger
	Backlogs(ctx context.Context, tenants []string) ([]int, error)
	Books(ctx context.Context) (ledger.Books, error)
	Lookup(ctx context.Context, key run.Key) (ledger.Record, error)
}

// Tenants returns the operator's settings of a tenant.
type Tenants interface {
	// Admit returns nil if the tenant may run scripts, and else the reason.
	Admit(name string) *run.Error
	// Limits returns the limits of a tenant, known or not.
	Limits(name string) tenant.Limits
}

// Scripts is the part of [registry.Resolver] that the dispatcher uses.
type Scripts interface {
	Resolve(ctx context.Context, req run.Run) (run.Pushed, error)
	Versions(ctx context.Context, of run.Run, yield func(run.Pushed) bool) error
}

// Deps are a Dispatcher's dependencies.
type Deps struct {
	Requests   queue.Queue
	Partitions []queue.Queue
	Results    queue.Queue
	DeadLetter queue.Queue // of the requests queue

	Side                queue.Queue // side partition, for tenants over their backlog budget; may be nil
	PartitionDeadLetter queue.Queue // only its depth is read; may be nil

	Cells Cells // nil: there is one cell

	// Turns returns how many runs the fleet's workers can execute at a time, as
	// far as is known; 0, or a nil Turns, if it is not.
	Turns func() int

	Ledger     Ledger
	Tenants    Tenants
	Scripts    Scripts // the script registry; nil: there is none
	Policy     *run.Policy
	Traces     *trace.Tracer // nil: nothing is traced
	Log        *zap.Logger
	Registerer prometheus.Registerer
}

// Dispatcher takes requests and sends them to partitions.
type Dispatcher struct {
	cfg      Config
	deps     Deps
	log      *zap.Logger
	runs     *zap.Logger // one line for each request that was answered here
	metrics  *metrics
	guard    panics.Guard
	route    *router
	depths   *depths
	backlogs *backlogs
	room     *room
	polls    *queue.Polls

	ledgerAway   *outage // ledgerAway and requestsAway pause the intake
	requestsAway *outage
	scriptsAway  *outage // requests by reference are put back

	outbox *outbox.Outbox
	accept *batch.Batcher[ledger.Entry, ledger.State]
	delete *queue.Deleter
	extend *queue.Extender

	partitions []*way          // by number
	side       *way            // nil: no side partition
	cells      map[string]*way // to the requests queues of the other cells
	results    *way
	deadLetter *way
}

// calls is the limit of concurrent calls of each kind to one queue: at 10 ms a
// call and ten requests each, 4,000 requests a second.
const calls = 4

// New returns a Dispatcher; Run starts it.
func New(cfg Config, deps Deps) *Dispatcher {
	cfg = cfg.withDefaults()
	log, metrics := deps.Log.Named("dispatcher"), newMetrics(deps.Registerer)
	guard := panics.Guard{Log: log, Count: metrics.panics.Inc}
	d := &Dispatcher{
		cfg:          cfg,
		deps:         deps,
		log:          log,
		runs:         log.Named(lasting.Each),
		metrics:      metrics,
		guard:        guard,
		depths:       newDepths(newBooks(deps.Ledger, deps.Registerer), deps.Registerer, guard),
		backlogs:     newBacklogs(deps.Ledger, deps.Turns, log),
		ledgerAway:   newOutage(log, "intake pauses", "intake goes on"),
		requestsAway: newOutage(log, "intake pauses", "intake goes on"),
		scriptsAway:  newOutage(log, "the script registry is away; requests by reference are put back until it answers", "the script registry answers again"),
		room:         newRoom(cfg.MaxInHand, cfg.MaxInHandBytes),
		polls:        queue.NewPolls(cfg.Pollers),
		delete:       queue.NewDeleter(deps.Requests, 2*calls, guard),
		extend:       queue.NewExtender(deps.Requests, 1, guard),
		results:      newWay(log, deps.Results, *cfg.MaxLinger, nil, guard),
		deadLetter:   newWay(log, deps.DeadLetter, *cfg.MaxLinger, nil, guard),
	}
	deps.Registerer.MustRegister(newTopBacklogs(d.backlogs))
	d.outbox = outbox.New(concludeWithin, outbox.Deps{
		Ledger:   deps.Ledger,
		Send:     func(ctx context.Context, m queue.Message) error { return d.sendBy(ctx, d.results, m) },
		MaxBytes: deps.Results.MaxBytes(), Log: d.log, Guard: guard, Linger: *cfg.MaxLinger,
	})
	// A dispatcher accepts half as often as a worker calls the ledger: it lingers
	// twice as long for the same company.
	d.accept = batch.New(batch.Config[ledger.Entry]{Max: 100, Concurrency: 2, Linger: 2 * *cfg.MaxLinger, ByRate: true, Guard: guard}, d.flushAccepts)
	d.route = newRouter(len(deps.Partitions), d)
	for p, q := range deps.Partitions {
		label := strconv.Itoa(p)
		d.partitions = append(d.partitions, newWay(log, q, *cfg.MaxLinger, d.metrics.sent.WithLabelValues(label).Inc, guard))
		d.depths.add("partition-"+label, q, func(depth queue.Depth) { d.route.saw(p, depth) })
	}
	d.depths.add(labelRequests, deps.Requests, nil)
	if deps.Side != nil {
		d.depths.add(labelSide, deps.Side, nil)
		d.side = newWay(log, deps.Side, *cfg.MaxLinger, d.metrics.sent.WithLabelValues("side").Inc, guard)
	}
	if deps.Cells != nil {
		d.cells = map[string]*way{}
		for name, q := range deps.Cells.Others() {
			d.cells[name] = newWay(log, q, *cfg.MaxLinger, nil, guard)
		}
	}
	d.depths.add(labelResults, deps.Results, nil)
	d.depths.add(labelRequestsDLQ, deps.DeadLetter, nil)
	d.depths.add(labelPartitionDLQ, deps.PartitionDeadLetter, nil)
	return d
}

// Run dispatches until intake ends, and then finishes the requests in hand,
// unless work ends first.
func (d *Dispatcher) Run(intake, work context.Context) error {
	var wg sync.WaitGroup
	loop := func(name string, f func()) {
		wg.Go(func() { d.guard.Loop(intake, name, f) })
	}
	loop("backlogs", func() { d.backlogs.run(intake) })
	loop("depths", func() { d.depths.run(intake, d.cfg.DepthEvery) })
	loop("poll", func() { d.poll(intake, work, &wg) })
	wg.Wait()
	return nil
}

// Ready returns nil while the dispatcher takes requests, and else the reason
// why not.
func (d *Dispatcher) Ready() error {
	var why []error
	if err := d.requestsAway.Reason(); err != nil {
		why = append(why, fmt.Errorf("the requests queue is away: %w", err))
	}
	if err := d.ledgerAway.Reason(); err != nil {
		why = append(why, fmt.Errorf("the ledger is away: %w", err))
	}
	return errors.Join(why...)
}
