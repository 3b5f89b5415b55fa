package builds

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// watch follows what other workers do for the flight's step. It belongs to the
// flight's goroutine.
type watch struct {
	f       *flight
	changed <-chan struct{} // signals of Records.Watch; nil before start and where Watch failed
	end     func()          // ends the watch of Records

	seen  bool      // the record was read once
	fence int64     // of the record when it was first read; 0 where there was none
	until time.Time // the lease of another worker cannot run out before, unless released
}

// read tells whether the record answers the flight, and how. A record written
// since the first read answers even if it is a failure whose Until has passed:
// otherwise each flight that missed the signal would build again in turn.
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

// remembered tells whether the failure still answers for a build: now < Until.
func (r Record) remembered() bool { return time.Now().Before(r.Until) }

// held notes the holder of the lease. The flight does not ask for the lease
// again before h.Left has passed, unless a signal comes. If Redis loses the
// lease in that time, the holder's next renewal restores it, and nothing is
// built twice.
func (w *watch) held(h *lease.HeldError) {
	w.until = time.Now().Add(h.Left + rand.N(h.Left/20+time.Millisecond))
	w.f.ledBy(workerOf(h.Owner))
}

func (w *watch) patient() bool { return time.Now().Before(w.until) }

// wait returns when a signal comes, the lease may have run out, lookAgain has
// passed, or ctx ends.
func (w *watch) wait(ctx context.Context) {
	if w.start(ctx) {
		return // a record may have been written before the watch began: read it again
	}
	defer w.f.waits(time.Now())
	again := time.NewTimer(max(0, min(w.lookAgain(), time.Until(w.until))))
	defer again.Stop()
	select {
	case <-w.changed:
		w.until = time.Time{}
	case <-again.C:
	case <-ctx.Done():
	}
}

// lookAgain is how long a flight waits for a signal before it reads the record
// without one: 1 to 5 s, and where no signals come 100 to 300 ms.
func (w *watch) lookAgain() time.Duration {
	if w.changed == nil {
		return 100*time.Millisecond + rand.N(200*time.Millisecond)
	}
	return time.Second + rand.N(4*time.Second)
}

// start begins the watch of Records, and reports whether it began just now.
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
