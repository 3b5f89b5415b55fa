package builds

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrClosed is returned by Ensure after Close was called.
var ErrClosed = errors.New("build: closed")

// Builder builds the functions of scripts, each once, however many runs and
// workers ask for it. It is safe for concurrent use.
type Builder struct {
	cfg     Config
	deps    Deps
	metrics metrics
	places  *places

	unwritten *lasting.Fault // records

	known  *memory[run.ScriptHash, int64]  // fence of the record of each function known to be built
	failed *memory[run.ScriptHash, Record] // records of failed builds
	layers *memory[run.EnvHash, Record]    // records of built layers

	verdicts *memory[run.EnvHash, verdict]

	bridged *memory[run.ScriptHash, int] // how often Bridge has named a runner

	behind chan struct{} // has an entry for each build that Behind has asked for

	ctx     context.Context // ended by Close; ends all flights
	cancel  context.CancelCauseFunc
	flights flights
}

// maxFailed bounds the number of failed records in memory: each has a log of up
// to 16 KiB.
const maxFailed = 1000

// New returns a Builder. The caller ends it with Close.
func New(cfg Config, deps Deps) *Builder {
	cfg = cfg.withDefaults()
	b := &Builder{
		cfg: cfg, deps: deps,
		metrics:   newMetrics(deps.Registerer),
		unwritten: lasting.New(deps.Log, "build record not written; trying again while its lease holds", "build records are written again"),
		known:     newMemory[run.ScriptHash, int64](cfg.MaxKnown),
		failed:    newMemory[run.ScriptHash, Record](min(cfg.MaxKnown, maxFailed)),
		layers:    newMemory[run.EnvHash, Record](cfg.MaxKnown),
		verdicts:  newMemory[run.EnvHash, verdict](cfg.MaxKnown),
		bridged:   newMemory[run.ScriptHash, int](cfg.MaxKnown),
		behind:    make(chan struct{}, maxBehind),
		flights:   flights{byKey: make(map[string]*flight)},
	}
	b.places = newPlaces(cfg.MaxBuilds, b.metrics.queue)
	b.metrics.remembers(deps.Registerer, b.failed)
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	return b
}

// Known tells whether the script's function is known to be built, from this
// worker's memory alone. It makes no round trip, so a warm run asks it first.
func (b *Builder) Known(s run.Script) (Built, bool) {
	s, ok := b.allowed(s)
	if !ok {
		return Built{}, false
	}
	if _, ok := b.known.get(s.Hash); !ok {
		return Built{}, false
	}
	return Built{Function: b.function(s), Script: s, Outcome: run.BuildReused, Packages: b.packages(s)}, true
}

// Ensure returns once the script's function is built, by this call, by another
// call in this worker, or by another worker. It fails with a *FailedError where
// the build failed, with ErrClosed after Close, with a *panics.Error where the
// flight panicked, and with the cause of ctx when ctx ends. The end of ctx does
// not end a build that this worker leads.
func (b *Builder) Ensure(ctx context.Context, s run.Script, p Priority) (Built, error) {
	if built, ok := b.Known(s); ok {
		return built, nil
	}
	if _, ok := b.allowed(s); !ok {
		if err := b.judgeEnv(ctx, s); err != nil {
			if ctx.Err() != nil {
				return Built{}, context.Cause(ctx)
			}
			return Built{}, &FailedError{Built: Built{Outcome: run.BuildDidFail}, Reason: reason(err)}
		}
	}
	s, _ = b.allowed(s)
	if rec, ok := b.failed.get(s.Hash); ok && rec.remembered() {
		return b.answer(s, outcome{record: rec, how: run.BuildRememberedFailure})
	}
	b.metrics.waiting.Inc()
	defer b.metrics.waiting.Dec()
	return b.answer(s, b.await(ctx, b.scriptStep(s), p, nil))
}

// Forget is called when an invoke answered NotFound or BadState. It drops the
// script's function from memory, and its record unless the record is newer than
// the entry in memory that the invoke relied on. The next Ensure asks Lambda
// for the function, deletes it if it is Failed, and builds it if it does not
// exist.
func (b *Builder) Forget(ctx context.Context, s run.Script) error {
	s, _ = b.allowed(s)
	fence, ok := b.known.get(s.Hash)
	if !ok { // another run has called Forget already
		return nil
	}
	b.known.drop(s.Hash)
	return b.deps.Records.Drop(ctx, scriptKey(s.Hash), fence)
}

// Busy tells which worker leads the build that runs of the script in this
// worker wait for; ok is false where none waits. leader is empty while no
// leader is known, for example while the build waits for a place in this
// worker.
func (b *Builder) Busy(hash run.ScriptHash) (leader string, ok bool) {
	return b.flights.leader(scriptKey(hash))
}

// Close refuses new builds and returns when the builds under way have ended.
// When ctx ends it cancels them, which releases their leases.
func (b *Builder) Close(ctx context.Context) error {
	b.flights.close()
	stop := context.AfterFunc(ctx, func() { b.cancel(ErrClosed) })
	defer stop()
	b.flights.wait()
	b.cancel(ErrClosed)
	return nil
}

// function is the name of the script's function. It is computed and never read
// from a record, so a wrong record cannot make a run invoke another function.
func (b *Builder) function(s run.Script) string {
	return run.FunctionName(b.cfg.Prefix, s.Tenant, s.Hash)
}

// outcome is how a step ended, from the view of one caller: how, led and waited
// differ between the caller that started the flight and those that joined it.
type outcome struct {
	record      Record // built or failed; neither where err is set
	how         run.BuildOutcome
	by          string // the worker that led the build
	led, waited time.Duration
	err         error // why the flight ended without a record: ErrClosed, the cause of ctx, a panic
	cause       error // the error that record.Failure was made from, for the log
}

func (b *Builder) answer(s run.Script, out outcome) (Built, error) {
	if out.err != nil {
		return Built{}, out.err
	}
	b.metrics.answered(out)
	built := Built{Outcome: out.how, Led: out.led, Waited: out.waited}
	if out.how != run.BuildReused {
		built.Log = out.record.Log
	}
	if out.how == run.BuildWaited {
		built.WaitedOn = out.by
	}
	built.Span = b.spanOf(scriptKey(s.Hash), out)
	if out.record.Failure != nil {
		return Built{}, &FailedError{Built: built, Reason: out.record.Failure}
	}
	built.Script = s
	built.Function, built.Packages = b.function(s), b.packages(s)
	return built, nil
}

// packages names the packages of the script's layer, if this worker remembers
// them.
func (b *Builder) packages(s run.Script) []string {
	if s.EnvHash == "" {
		return nil
	}
	rec, _ := b.layers.get(s.EnvHash)
	return run.Names(rec.Packages)
}
