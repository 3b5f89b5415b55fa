package builds

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// step is one of the two steps of a build: it makes the env's layer, or the
// script's function.
type step struct {
	name   string // stepEnv, stepScript or stepRunner
	key    string // of the record, and after "build/" of the lease
	script run.Script
	is     func(arn string) bool                            // whether a record's ARN can belong to this step
	learn  func(Record)                                     // keeps the record in this worker's memory
	lead   func(ctx context.Context, t *term) (made, error) // makes the layer or the function, under the lease
}

// errAbandoned ends a flight that waits for another worker, when its last
// caller has left.
var errAbandoned = errors.New("build: no run waits for it any more")

// settle returns when the step is built or has failed, by this worker or
// another. Each round reads the record; if that does not answer, it waits for
// the lease's holder, or takes the lease and leads.
func (f *flight) settle(ctx context.Context) outcome {
	w := &watch{f: f}
	defer w.stop()
	for {
		if ctx.Err() != nil {
			return outcome{err: context.Cause(ctx)}
		}
		rec, there, err := f.b.deps.Records.Get(ctx, f.step.key)
		if err != nil {
			f.away(ctx, "get record", err)
		} else if out, ok := w.read(rec, there); ok {
			f.step.learn(out.record)
			return out
		} else if w.patient() {
			w.wait(ctx)
		} else if f.takePlace(ctx, w) {
			if out, ok := f.compete(ctx, w); ok {
				return out
			}
		}
		if f.abandoned() {
			return outcome{err: errAbandoned}
		}
	}
}

// compete takes the lease and leads. If another worker holds the lease, it
// waits once for that worker. It returns false where the step is not settled.
func (f *flight) compete(ctx context.Context, w *watch) (outcome, bool) {
	hold, err := lease.Take(ctx, f.b.deps.Leases, "build/"+f.step.key, f.b.owner(), f.b.cfg.LeaseTTL)
	var held *lease.HeldError
	switch {
	case errors.As(err, &held):
		f.leavePlace()
		w.held(held)
		w.wait(ctx)
		return outcome{}, false
	case err != nil:
		f.leavePlace()
		f.away(ctx, "take lease", err)
		return outcome{}, false
	}
	f.ledBy(f.b.cfg.Worker)
	out, ok := f.lead(ctx, hold, w)
	if !ok {
		f.ledBy("")
	}
	return out, ok
}

// away logs that a call of Redis failed, and pauses for 0.2 to 1 s before the
// next round: the build is delayed while Redis is away, and does not fail.
func (f *flight) away(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	f.b.deps.Log.Warn("build waits for Redis", zap.String("step", f.step.name), zap.String("for", what), zap.Error(err))
	defer f.waits(time.Now())
	sleep(ctx, 200*time.Millisecond+rand.N(800*time.Millisecond))
}

// takePlace asks for a place, if the flight has none, and returns true once it
// is granted. It returns false when the record was signalled to have changed,
// when it is time to read the record anyway, or when ctx ended; the request for
// the place then stays in its queue.
func (f *flight) takePlace(ctx context.Context, w *watch) bool {
	p, raised := f.priority()
	if f.place == nil {
		f.place = f.b.places.ask(f.step.script.Tenant, p)
	}
	select {
	case <-f.place.ready:
		return true
	default:
	}
	w.start(ctx)
	defer f.waits(time.Now())
	again := time.NewTimer(w.lookAgain())
	defer again.Stop()
	for {
		select {
		case <-f.place.ready:
			return true
		case <-raised:
			p, raised = f.priority()
			f.b.places.promote(f.place, p)
		case <-w.changed:
			return false
		case <-again.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (f *flight) leavePlace() {
	if f.place != nil {
		f.b.places.leave(f.place)
		f.place = nil
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
