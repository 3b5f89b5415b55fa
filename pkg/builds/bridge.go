package builds

import (
	"context"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// maxBehind bounds how many builds that Behind has asked for may wait. The bucket
// of tokens makes so many in about a minute.
const maxBehind = 1000

// Bridge tells what executes a run of a script at once, whose function this
// worker does not know: the function all the same, if its record says that it is
// built, or else the runner, if that is. ok is false if there is neither, if
// only the author can mend why the script's last build failed, and if what is
// built of the script avoids denied packages.
//
// It makes one round trip for both records, and none while this worker builds
// the script: then the record cannot say that it is built.
//
// From the BuildAfter-th time on that it names the runner for a script, it has
// the script's function built behind its runs. Each worker counts by itself, and
// forgets the counts of scripts that did not come for long. So with n workers a
// function is built after BuildAfter runs at least, and after
// n × (BuildAfter - 1) + 1 at most.
func (b *Builder) Bridge(ctx context.Context, s, runner run.Script) (built Built, ok bool) {
	if own, ok := b.allowed(s); !ok || own.Hash != s.Hash {
		return Built{}, false
	}
	if rec, ok := b.failed.get(s.Hash); ok && rec.mendedByAuthor() {
		return Built{}, false
	}
	if _, busy := b.Busy(s.Hash); !busy && !b.look(ctx, s, runner) {
		return Built{}, false
	}
	if built, ok := b.Known(s); ok {
		return built, true
	}
	if built, ok = b.Known(runner); !ok {
		return Built{}, false
	}
	if b.bridged.change(s.Hash, func(n int) int { return n + 1 }) >= b.cfg.BuildAfter {
		b.Behind(s, Behind)
	}
	built.Outcome, built.Script, built.Runner = run.BuildBridged, s, &runner
	return built, true
}

// look reads the record of the script, and that of the runner if it is not
// known. It returns false if the script's says that the author has to mend it.
// While Redis is away, a known runner is used.
func (b *Builder) look(ctx context.Context, s, runner run.Script) bool {
	steps := []step{b.scriptStep(s)}
	if _, known := b.Known(runner); !known {
		steps = append(steps, b.scriptStep(runner))
	}
	keys := make([]string, len(steps))
	for i, st := range steps {
		keys[i] = st.key
	}
	recs, err := b.deps.Records.GetAll(ctx, keys)
	if err != nil {
		return ctx.Err() == nil
	}
	for i, rec := range recs {
		switch {
		case rec == nil:
		case rec.mendedByAuthor():
			steps[i].learn(*rec)
			return false
		case rec.ARN != "" && steps[i].is(rec.ARN):
			steps[i].learn(*rec)
		}
	}
	return true
}

// mendedByAuthor tells whether the record is of a failure that is remembered,
// and that only the author can mend.
func (r Record) mendedByAuthor() bool {
	return r.Failure != nil && RememberedForLong(r.Failure) && r.remembered()
}

// Behind has a script built that no run in hand waits for, and returns at once.
// The build is forgotten when this worker stops, or at once if too many wait: the
// script's next run asks for it again.
func (b *Builder) Behind(s run.Script, p Priority) {
	if _, known := b.Known(s); known {
		return
	}
	if _, busy := b.Busy(s.Hash); busy {
		return
	}
	select {
	case b.behind <- struct{}{}:
	default:
		return
	}
	if !b.flights.open() {
		<-b.behind
		return
	}
	go func() {
		defer func() { <-b.behind; b.flights.wg.Done() }()
		guard := panics.Guard{Log: b.deps.Log, Count: b.metrics.panics.Inc}
		// Its failure is logged, counted and remembered where it was made.
		guard.Catch(func() { _, _ = b.Ensure(b.ctx, s, p) }, func() []zap.Field { return []zap.Field{zap.String("tenant", s.Tenant)} })
	}()
}
