package builds

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrClosed is why Ensure fails once Close was called.
var ErrClosed = errors.New("build: closed")

// Builder is safe for concurrent use.
type Builder struct {
	cfg     Config
	deps    Deps
	metrics metrics
	places  *places

	known  *memory[run.ScriptHash, int64] // built functions, and the fence of what said so
	failed *memory[run.ScriptHash, Record]
	layers *memory[run.EnvHash, Record]

	ctx     context.Context // of the builds
	cancel  context.CancelCauseFunc
	flights flights
}

// maxFailed bounds the failures in memory: each carries a log.
const maxFailed = 1000

// New returns a Builder. Close ends it.
func New(cfg Config, deps Deps) *Builder {
	cfg = cfg.withDefaults()
	b := &Builder{
		cfg: cfg, deps: deps,
		metrics: newMetrics(deps.Registerer),
		known:   newMemory[run.ScriptHash, int64](cfg.MaxKnown),
		failed:  newMemory[run.ScriptHash, Record](min(cfg.MaxKnown, maxFailed)),
		layers:  newMemory[run.EnvHash, Record](cfg.MaxKnown),
		flights: flights{byKey: make(map[string]*flight)},
	}
	b.places = newPlaces(cfg.MaxBuilds, b.metrics.queue)
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	return b
}

// Known answers from memory alone whether the script's function is built. It
// costs no round trip, so it is what the warm path asks.
func (b *Builder) Known(s run.Script) (Built, bool) {
	if _, ok := b.known.get(s.Hash); !ok {
		return Built{}, false
	}
	return Built{Function: b.function(s), Outcome: run.BuildReused}, true
}

// Ensure returns once the script's function is built, by this call, another in
// this worker or another worker. It fails with a *FailedError where the build
// failed, with ErrClosed, or with the cause of ctx; a caller whose ctx ends
// leaves the build to the others and to itself.
func (b *Builder) Ensure(ctx context.Context, s run.Script, p Priority) (Built, error) {
	if built, ok := b.Known(s); ok {
		return built, nil
	}
	if rec, ok := b.failed.get(s.Hash); ok && rec.remembered() {
		return b.answer(s, outcome{record: rec, how: run.BuildRememberedFailure})
	}
	b.metrics.waiting.Inc()
	defer b.metrics.waiting.Dec()
	return b.answer(s, b.await(ctx, b.scriptStep(s), nobodyWaits(p), nil))
}

// Forget is called when an invoke answered NotFound or BadState: it drops what
// memory and records say of the script's function, as far as it is no newer
// than what the invoke relied on. The next Ensure looks at the function itself,
// deletes one that is Failed, and builds what is not there.
func (b *Builder) Forget(ctx context.Context, s run.Script) error {
	fence, ok := b.known.get(s.Hash)
	if !ok { // another run's Forget was first
		return nil
	}
	b.known.drop(s.Hash)
	return b.deps.Records.Drop(ctx, scriptKey(s.Hash), fence)
}

// Busy tells which worker leads the build that this worker's runs of the script
// wait for; leader is empty while the build waits for a place in this worker.
func (b *Builder) Busy(hash run.ScriptHash) (leader string, ok bool) {
	return b.flights.leader(scriptKey(hash))
}

// Close refuses new builds, lets those under way finish until ctx ends, then
// ends them and gives their leases back.
func (b *Builder) Close(ctx context.Context) error {
	b.flights.close()
	stop := context.AfterFunc(ctx, func() { b.cancel(ErrClosed) })
	defer stop()
	b.flights.wait()
	b.cancel(ErrClosed)
	return nil
}

// function is the name of the script's function. It is computed and never read
// from a record: whatever Redis says, a run invokes what its script names.
func (b *Builder) function(s run.Script) string {
	return run.FunctionName(b.cfg.Prefix, s.Tenant, s.Hash)
}

// outcome is how a step ended, as the one sees it who asks.
type outcome struct {
	record      Record // built or failed; neither where err is set
	how         run.BuildOutcome
	by          string // the worker that led it
	led, waited time.Duration
	err         error
	cause       error // what the build failed with, for the log
}

func (b *Builder) answer(s run.Script, out outcome) (Built, error) {
	if out.err != nil {
		return Built{}, out.err
	}
	built := Built{Outcome: out.how, Led: out.led, Waited: out.waited}
	if out.how != run.BuildReused {
		built.Log = out.record.Log
	}
	if out.how == run.BuildWaited {
		built.WaitedOn = out.by
	}
	if out.record.Failure != nil {
		return Built{}, &FailedError{Built: built, Reason: out.record.Failure}
	}
	built.Function = b.function(s)
	return built, nil
}
