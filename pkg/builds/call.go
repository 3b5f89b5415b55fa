package builds

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
)

// call is one call of the control plane. This is the one layer that tries it
// again: the service's client tries once.
type call struct {
	op      string // for metrics: a method of function.Maker
	paced   bool   // draws on the fleet's token bucket
	timeout time.Duration
	poll    bool // many calls, so one that takes too long is not made again
	do      func(ctx context.Context) error
	// settling is set where a function that was just made may not be seen yet.
	settling bool
}

const (
	maxUnsure   = 5 // tries of a call whose outcome is unknown, or that was never sent
	firstPause  = 500 * time.Millisecond
	longestWait = 20 * time.Second
)

// aheadPatience is how long a build made ahead that holds its lease stands
// behind those that runs wait for: a run on another worker may wait for it too.
const aheadPatience = 30 * time.Second

// call makes a call until it is answered, under the lease. A throttled call has
// not been executed: it is made again for as long as the build may last.
func (t *term) call(ctx context.Context, c call) error {
	for pause, unsure := firstPause, 0; ; pause = min(2*pause, longestWait) {
		if err := t.ready(ctx, c); err != nil {
			return err
		}
		err := c.once(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case function.ClassOf(err) == function.Throttled:
			t.metrics.throttled.WithLabelValues(c.op).Inc()
		case c.again(err):
			if unsure++; unsure == maxUnsure {
				return err
			}
		default:
			return err
		}
		sleep(ctx, rand.N(pause))
	}
}

// ready waits for a token, then makes sure that the lease still holds: what a
// later holder may have made must not be made again, or deleted.
func (t *term) ready(ctx context.Context, c call) error {
	if c.paced {
		if err := t.pace(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !t.hold.Valid() {
		return lease.ErrLost
	}
	return nil
}

func (c call) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.do(ctx)
}

// unanswered tells whether a call that failed may have been executed.
func unanswered(err error) bool {
	return function.ClassOf(err) == function.Ambiguous || errors.Is(err, context.DeadlineExceeded)
}

// again tells whether a call that failed is worth another, as the throttled are
// in any case.
func (c call) again(err error) bool {
	switch function.ClassOf(err) {
	case function.Ambiguous, function.Unsent:
		return true
	case function.NotReady:
		return !c.poll // else it was not ready for as long as one may wait
	case function.NotFound:
		return c.settling
	}
	return errors.Is(err, context.DeadlineExceeded) && !c.poll
}

// pace takes a token from the fleet's bucket. A build made ahead goes with the
// others from the moment that a run waits for it.
func (t *term) pace(ctx context.Context) error {
	if t.f.ahead.Err() == nil {
		behind, cancel := context.WithTimeout(ctx, aheadPatience)
		stop := context.AfterFunc(t.f.ahead, cancel)
		err := t.deps.Limiter.Wait(behind, ratelimit.Ahead)
		stop()
		cancel()
		if err == nil {
			return nil
		}
	}
	if err := t.deps.Limiter.Wait(ctx, ratelimit.Waited); err != nil {
		return during(ctx, err)
	}
	return nil
}
