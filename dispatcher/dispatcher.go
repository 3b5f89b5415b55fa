// Package dispatcher takes run requests from the requests queue and places them
// on the partitions.
//
// One request goes: received → admitted (decoded, validated; a refused one is
// answered or buried) → noted in the ledger → sent to a partition of its
// tenant's shard → deleted from the requests queue. Each step may happen again:
// a crash before the delete brings the request back, and the workers know a run
// that they have seen. Nothing is deleted before what it became is on its next
// queue, so nothing is lost.
//
// The dispatcher holds no state of its own that matters; any number of them may
// run side by side. While the ledger or the requests queue is out of reach it
// puts back what it holds and pauses its intake. While a partition is, it puts
// back the requests of the tenants that have no other, and all others pass.
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
	"github.com/scriptfleet/scriptfleet/pkg/breaker"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// Config of a dispatcher. Zero values take the defaults that are noted.
type Config struct {
	Pollers        int           // polls of the requests queue at a time; default 4
	PollWait       time.Duration // of one long poll; default 10 s
	DepthEvery     time.Duration // between two looks at the queues' depths; default 2 s
	MaxInHand      int           // requests in hand at a time; default 500
	MaxInHandBytes int           // of their bodies, above which no poll is begun; default 16 MiB
}

func (c Config) withDefaults() Config {
	if c.Pollers == 0 {
		c.Pollers = 4
	}
	if c.PollWait == 0 {
		c.PollWait = 10 * time.Second
	}
	if c.DepthEvery == 0 {
		c.DepthEvery = 2 * time.Second
	}
	if c.MaxInHand == 0 {
		c.MaxInHand = 500
	}
	if c.MaxInHandBytes == 0 {
		c.MaxInHandBytes = 16 << 20
	}
	return c
}

// Ledger is what the dispatcher needs of a [ledger.Ledger].
type Ledger interface {
	Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error)
	Cancel(ctx context.Context, e ledger.Entry) (ledger.State, error)
	outbox.Ledger
	Backlogs(ctx context.Context, tenants []string) ([]int, error)
	Books(ctx context.Context) (ledger.Books, error)
}

// Tenants tells what the operator has set for a tenant.
type Tenants interface {
	// Admit is nil for a tenant that may run scripts, else the reason.
	Admit(name string) *run.Error
	// Limits are those of a tenant, known or not.
	Limits(name string) tenant.Limits
}

// Deps of a dispatcher.
type Deps struct {
	Requests   queue.Queue
	Partitions []queue.Queue
	Results    queue.Queue
	DeadLetter queue.Queue // of the requests queue

	Side                queue.Queue // for tenants over their backlog budget; may be nil
	PartitionDeadLetter queue.Queue // only looked at; may be nil

	Ledger     Ledger
	Tenants    Tenants
	Policy     *run.Policy
	Log        *zap.Logger
	Registerer prometheus.Registerer
}

// Dispatcher is made by New.
type Dispatcher struct {
	cfg      Config
	deps     Deps
	log      *zap.Logger
	metrics  *metrics
	guard    panics.Guard
	route    *router
	depths   *depths
	backlogs *backlogs
	room     *room

	ledgerAway   breaker.Breaker // these two pause the intake
	requestsAway breaker.Breaker

	outbox *outbox.Outbox
	accept *batch.Batcher[ledger.Entry, ledger.State]
	delete *queue.Deleter
	extend *queue.Extender

	partitions []*way // in order
	side       *way   // nil without a side partition
	results    *way
	deadLetter *way
}

// calls under way at once to one queue, of each kind.
const calls = 2

// New makes a dispatcher.
func New(cfg Config, deps Deps) *Dispatcher {
	cfg = cfg.withDefaults()
	log, metrics := deps.Log.Named("dispatcher"), newMetrics(deps.Registerer)
	guard := panics.Guard{Log: log, Count: metrics.panics.Inc}
	d := &Dispatcher{
		cfg:        cfg,
		deps:       deps,
		log:        log,
		metrics:    metrics,
		guard:      guard,
		depths:     newDepths(newBooks(deps.Ledger, deps.Registerer), deps.Registerer, guard),
		backlogs:   newBacklogs(deps.Ledger, log),
		room:       newRoom(cfg.MaxInHand, cfg.MaxInHandBytes),
		delete:     queue.NewDeleter(deps.Requests, 2*calls, guard),
		extend:     queue.NewExtender(deps.Requests, 1, guard),
		results:    newWay(deps.Results, nil, guard),
		deadLetter: newWay(deps.DeadLetter, nil, guard),
	}
	d.outbox = outbox.New(concludeWithin, outbox.Deps{
		Ledger:   deps.Ledger,
		Send:     func(ctx context.Context, m queue.Message) error { return d.sendBy(ctx, d.results, m) },
		MaxBytes: deps.Results.MaxBytes(), Log: d.log, Guard: guard,
	})
	d.accept = batch.New(batch.Config[ledger.Entry]{Max: 100, Concurrency: 2, Guard: guard}, d.flushAccepts)
	d.route = newRouter(len(deps.Partitions), func(p int) bool { return d.partitions[p].away.Paused() })
	for p, q := range deps.Partitions {
		label := strconv.Itoa(p)
		d.partitions = append(d.partitions, newWay(q, d.metrics.sent.WithLabelValues(label).Inc, guard))
		d.depths.add("partition-"+label, q, func(depth queue.Depth) { d.route.saw(p, depth) })
	}
	d.depths.add(labelRequests, deps.Requests, nil)
	if deps.Side != nil {
		d.depths.add(labelSide, deps.Side, nil)
		d.side = newWay(deps.Side, d.metrics.sent.WithLabelValues("side").Inc, guard)
	}
	d.depths.add(labelResults, deps.Results, nil)
	d.depths.add(labelRequestsDLQ, deps.DeadLetter, nil)
	d.depths.add(labelPartitionDLQ, deps.PartitionDeadLetter, nil)
	return d
}

// Run dispatches until intake ends, then finishes what it has in hand; work
// ends that too.
func (d *Dispatcher) Run(intake, work context.Context) error {
	var wg sync.WaitGroup
	loop := func(name string, f func()) {
		wg.Go(func() { d.guard.Loop(intake, name, f) })
	}
	loop("backlogs", func() { d.backlogs.run(intake) })
	loop("depths", func() { d.depths.run(intake, d.cfg.DepthEvery) })
	for range d.cfg.Pollers {
		loop("poll", func() { d.poll(intake, work, &wg) })
	}
	wg.Wait()
	return nil
}

// Ready is nil while the dispatcher takes requests, else why it does not.
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

// pause pauses the intake, and logs it once.
func (d *Dispatcher) pause(b *breaker.Breaker, err error) {
	if b.Open(err) {
		d.log.Warn("intake pauses", zap.Error(err))
	}
}

// goOn ends a pause of the intake.
func (d *Dispatcher) goOn(b *breaker.Breaker) {
	if b.Close() {
		d.log.Info("intake goes on")
	}
}
