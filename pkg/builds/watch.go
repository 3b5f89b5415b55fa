package builds

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// watch is what a flight knows of the other workers' doings on its step.
type watch struct {
	f       *flight
	changed <-chan struct{} // nil where no watch could be had: then it looks by itself
	end     func()

	seen  bool
	fence int64     // of the record at first sight
	until time.Time // the lease does not run out before, as far as was told
}

// read judges a record. One that was written since the first sight is what the
// flight has waited for. So a failure among them is its answer even if it is
// remembered no longer: else those who missed the signal would build again, one
// after the other.
func (w *watch) read(rec Record, there bool) (outcome, bool) {
	if !there {
		rec = Record{}
	}
	if !w.seen {
		w.seen, w.fence = true, rec.Fence
	}
	built := rec.ARN != "" && w.f.step.is(rec.ARN)
	failed := rec.Failure != nil
	switch {
	case rec.Fence > w.fence && (built || failed):
		return outcome{record: rec, how: run.BuildWaited, by: rec.Builder}, true
	case failed && rec.remembered():
		return outcome{record: rec, how: run.BuildRememberedFailure}, true
	case built:
		return outcome{record: rec, how: run.BuildReused}, true
	}
	return outcome{}, false
}

// remembered tells whether a failure still stands for a build.
func (r Record) remembered() bool { return time.Now().Before(r.Until) }

// held notes who has the lease. The flight does not ask for it again before it
// can have run out, unless something is signalled: should Redis have forgotten
// it meanwhile, its holder's next renewal comes first and nothing is built twice.
func (w *watch) held(h *lease.HeldError) {
	w.until = time.Now().Add(h.Left + rand.N(h.Left/20+time.Millisecond))
	w.f.ledBy(workerOf(h.Owner))
}

func (w *watch) patient() bool { return time.Now().Before(w.until) }

// wait returns when something is signalled, the lease may have run out, or it is
// time to look again.
func (w *watch) wait(ctx context.Context) {
	if w.start(ctx) {
		return // look once more: it may have been written just before
	}
	defer w.f.waits(time.Now())
	again := time.NewTimer(max(0, min(lookAgain(), time.Until(w.until))))
	defer again.Stop()
	select {
	case <-w.changed:
		w.until = time.Time{}
	case <-again.C:
	case <-ctx.Done():
	}
}

// start begins to watch, and reports whether it did.
func (w *watch) start(ctx context.Context) bool {
	if w.changed != nil {
		return false
	}
	changed, stop, err := w.f.b.deps.Records.Watch(ctx, w.f.step.key)
	if err != nil {
		return false
	}
	w.changed, w.end = changed, stop
	return true
}

func (w *watch) stop() {
	if w.end != nil {
		w.end()
	}
}
