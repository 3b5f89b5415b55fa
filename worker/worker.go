// Package worker takes deliveries from the partitions, has their scripts built,
// invokes them, and publishes one result for each run.
//
// Each delivery in hand has its own goroutine, which takes the steps in order.
// work.go has the order; each step is in the file of its name:
//
//	receive ─▶ (decode ─▶ ready ─▶ claim ─▶ build ─▶ slot ─▶ invoke) work ─▶ verdict ─▶ settle
//
// A run whose script has no function yet may be executed by its tenant's env
// runner; bridge.go has when, and what follows if the runner does not take it.
//
// A step fails with an error that names the obstacle. Only verdict.go decides
// what that error means for the run.
//
// The other files: inflight.go (what is in hand), share.go (how much of it a
// tenant may have), kept.go (what waits for that), turns.go (which runs execute
// here), heartbeat.go (what is renewed), calls.go (calls to Redis), and
// deadletter.go.
//
// What holds:
//
//   - A run is invoked only under a claim in the ledger, and the ledger counts
//     the attempt before the invocation is sent.
//   - The result is written down, published, and only then is the delivery
//     deleted: the order that package outbox keeps, which says what a crash in
//     between repeats. Notes and deletes wait some hundreds of milliseconds
//     to be batched, and meanwhile take no room; a stop waits for them.
//   - Waiting for a build takes no turn: such a delivery is parked, within bounds
//     of number and bytes, and put back above them.
//   - The heartbeat renews what is in hand, in batches and only where needed: the
//     delivery's visibility, the claim, the tenant's slots.
//
// # Who may publish
//
// The claim decides, not the delivery. While this worker has the claim, no
// other worker invokes the run, even after the delivery's visibility has
// expired: the run goes on, and its result is published once. The work ends
// with errLost when the claim is lost, or when the delivery is lost while the
// ledger is out of reach. Nothing is published then.
//
// # Stopping
//
// When intake ends, receiving stops, runs that wait are put back, and runs that
// execute go on. When work ends, those are put back too.
package worker

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/breaker"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// Config configures a Worker. A zero value means the noted default.
type Config struct {
	Name        string         // of this worker, unique in the fleet
	Concurrency int            // limit of runs that execute at a time; default 32
	Reserve     *int           // turns beyond Concurrency, for tenants with few or none; default a quarter of Concurrency
	MaxParked   int            // limit of deliveries that wait for a build; default 1000
	MaxParkedMB int            // limit of their bodies together, in MB; default 256
	PollWait    time.Duration  // of one long poll; default 10 s
	MaxLinger   *time.Duration // how long a step waits for others to share its call, if they are expected; default 5 ms

	// Visibility is the visibility timeout of a received delivery. It covers a
	// common run, and is how long the runs of a worker that died are hidden. It
	// is longer than claimTTL; default 24 s.
	Visibility time.Duration

	// EnvRunner has a run whose script has no function yet executed by its
	// tenant's env runner, where there is one.
	EnvRunner bool

	MaxAttempts int           // limit of invocations of one run; default 3
	GiveUpAfter time.Duration // after which a run that cannot be invoked ends; default 1 h
}

// claimTTL is how long a claim lasts without renewal. It is shorter than
// Visibility, so that the claim of a dead worker has expired when its delivery
// comes again.
const claimTTL = 15 * time.Second

func (c Config) withDefaults() Config {
	setDefault(&c.Concurrency, 32)
	if c.Reserve == nil {
		c.Reserve = new(max(1, c.Concurrency/4))
	}
	if c.MaxLinger == nil {
		c.MaxLinger = new(batch.OnTheWay)
	}
	setDefault(&c.MaxParked, 1000)
	setDefault(&c.MaxParkedMB, 256)
	setDefault(&c.PollWait, 10*time.Second)
	setDefault(&c.Visibility, 24*time.Second)
	setDefault(&c.MaxAttempts, 3)
	setDefault(&c.GiveUpAfter, time.Hour)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Builds is the part of [builds.Builder] that a worker uses.
type Builds interface {
	Known(s run.Script) (builds.Built, bool)
	Bridge(ctx context.Context, s, runner run.Script) (builds.Built, bool)
	Ensure(ctx context.Context, s run.Script, p builds.Priority) (builds.Built, error)
	Behind(s run.Script, p builds.Priority)
	Forget(ctx context.Context, s run.Script) error
	Busy(hash run.ScriptHash) (leader string, ok bool)
}

// Credentials assumes the role of the credential that a run names. The keys are
// valid for at least the script's timeout.
type Credentials interface {
	Assume(ctx context.Context, r run.Run) function.Credentials
}

// Tenants returns the limits of a tenant, known or not.
type Tenants interface {
	Limits(name string) tenant.Limits
}

// Scripts is the part of [registry.Resolver] that the worker uses.
type Scripts interface {
	Accepted(ctx context.Context, accepted run.Run) (run.Pushed, error)
}

// Deps are a Worker's dependencies.
type Deps struct {
	Partitions []queue.Queue
	Side       queue.Queue // side partition, read with left-over room; may be nil
	Results    queue.Queue
	DeadLetter queue.Queue // of the partitions

	Ledger      ledger.Ledger
	Builds      Builds
	Functions   function.Invoker
	Credentials Credentials
	Slots       slot.Slots
	Tenants     Tenants
	Scripts     Scripts       // the script registry; nil: there is none
	Traces      *trace.Tracer // nil: nothing is traced
	Policy      *run.Policy
	Log         *zap.Logger
	Registerer  prometheus.Registerer
}

// Worker takes runs from the partitions and answers them.
type Worker struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	runs    *zap.Logger // one line for each run that this worker has answered
	metrics *metrics
	faults  faults
	guard   panics.Guard

	inflight *inflight
	turns    *turns
	breaker  breaker.Breaker
	budget   *budget

	outbox *outbox.Outbox
	slots  *batch.Batcher[slot.Ask, bool]
	gives  *batch.Batcher[[]slot.Ask, struct{}]
	spares *spares
	notes  line // of what runs wait for
}

// New returns a Worker; Run starts it.
func New(cfg Config, deps Deps) *Worker {
	cfg = cfg.withDefaults()
	w := &Worker{
		cfg:      cfg,
		deps:     deps,
		log:      deps.Log.Named("worker"),
		runs:     deps.Log.Named("worker").Named(lasting.Each),
		inflight: newInflight(cfg),
		turns:    newTurns(cfg.Concurrency, *cfg.Reserve),
		budget:   newBudget(),
	}
	w.faults = newFaults(w.log)
	w.metrics = newMetrics(deps.Registerer, w)
	w.guard = panics.Guard{Log: w.log, Count: w.metrics.panics.Inc}
	results := queue.NewSender(deps.Results, 4, *cfg.MaxLinger, w.guard)
	w.outbox = outbox.New(claimTTL, outbox.Deps{
		Ledger: deps.Ledger,
		Send: func(ctx context.Context, m queue.Message) error {
			err := results.Send(uncut(ctx), m)
			if err == nil {
				w.faults.results.Over()
			}
			return err
		},
		Again: w.again, Sent: w.metrics.result, MaxBytes: deps.Results.MaxBytes(), Log: w.log, Guard: w.guard, Linger: *cfg.MaxLinger,
	})
	w.slots = batch.New(batch.Config[slot.Ask]{Max: 100, Concurrency: 2, Linger: *cfg.MaxLinger, ByRate: true, Guard: w.guard}, w.flushSlots)
	w.gives = batch.New(batch.Config[[]slot.Ask]{Max: 100, Concurrency: 2, Linger: *cfg.MaxLinger, ByRate: true, Guard: w.guard}, w.flushGives)
	w.spares = newSpares(func(asks []slot.Ask) {
		if len(asks) > 0 {
			_, _ = w.gives.Do(context.Background(), asks)
		}
	})
	return w
}

// Run works until intake ends, and then settles the deliveries in hand, unless
// work ends first.
func (w *Worker) Run(intake, work context.Context) error {
	beating, stopBeating := context.WithCancel(context.WithoutCancel(work))
	defer stopBeating()
	var heart sync.WaitGroup
	heart.Go(func() { w.guard.Loop(beating, "heartbeat", func() { w.heartbeat(beating) }) })

	var receivers sync.WaitGroup
	receive := func(s *source) {
		receivers.Go(func() {
			w.guard.Loop(intake, s.queue.Name(), func() { w.receive(intake, work, s) })
		})
	}
	for _, q := range w.deps.Partitions {
		receive(w.newSource(q))
	}
	if w.deps.Side != nil {
		s := w.newSource(w.deps.Side)
		s.room, s.least, s.look = sideFactor, w.inflight.some(), lookSideEvery
		receive(s)
	}
	receivers.Go(func() {
		w.guard.Loop(intake, "dead letters", func() { w.deadLetters(intake, work) })
	})
	receivers.Wait()
	w.inflight.wait()
	w.spares.close()
	stopBeating()
	heart.Wait()
	return nil
}

// Ready returns nil while the worker takes runs, and else the reason why not.
func (w *Worker) Ready() error { return w.breaker.Reason() }
