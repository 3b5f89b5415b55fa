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

// step is one of the two that make a function: the env's layer, the script's
// function.
type step struct {
	name   string // env or script: a label of metrics
	key    string // of the record and the lease
	script run.Script
	is     func(arn string) bool // whether a record with arn can be of this step
	learn  func(Record)          // keeps in memory what is built, or failed
	lead   func(ctx context.Context, t *term) (made, error)
}

// errAbandoned ends a flight that waits while nobody waits for it.
var errAbandoned = errors.New("build: nobody waits for it any more")

// settle goes on until the step is built or has failed, whoever does it: look at
// the record, else take the lease and lead, else wait for the holder.
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

// compete takes the lease and leads, or notes who holds it.
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

// away is for when Redis is out of reach: it is a helper, so the step waits and
// tries again.
func (f *flight) away(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	f.b.deps.Log.Warn("build waits for Redis", zap.String("step", f.step.name), zap.String("for", what), zap.Error(err))
	defer f.waits(time.Now())
	sleep(ctx, 200*time.Millisecond+rand.N(800*time.Millisecond))
}

// takePlace returns true once the worker has a place for the build, and false
// where something else has happened that is worth a look first.
func (f *flight) takePlace(ctx context.Context, w *watch) bool {
	if f.place == nil {
		p := ForRun
		if f.ahead.Err() == nil {
			p = Ahead
		}
		f.place = f.b.places.ask(f.step.script.Tenant, p)
	}
	select {
	case <-f.place.ready:
		return true
	default:
	}
	w.start(ctx)
	defer f.waits(time.Now())
	again := time.NewTimer(lookAgain())
	defer again.Stop()
	ahead := f.ahead.Done()
	for {
		select {
		case <-f.place.ready:
			return true
		case <-ahead:
			f.b.places.promote(f.place)
			ahead = nil
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

// lookAgain is when a waiter looks by itself, in case a signal was missed.
func lookAgain() time.Duration { return time.Second + rand.N(4*time.Second) }

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
