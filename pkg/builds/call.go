package builds

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
)

// call is one call of Lambda's control plane. Only this layer retries it: the
// service's client tries each call once.
type call struct {
	op      string        // a method of function.Maker; a label of metrics
	paced   bool          // needs a token of the fleet's bucket
	timeout time.Duration // of one try
	poll    bool          // do polls until its timeout, so a timeout is not retried
	do      func(ctx context.Context) error
	// settling is set where NotFound is retried: Lambda may not yet find a
	// function that was just created.
	settling bool
}

const (
	maxUnsure   = 5                      // tries of a call that may be repeated and was not throttled
	firstPause  = 500 * time.Millisecond // upper bound of the first jittered pause between tries; doubles
	longestWait = 20 * time.Second       // upper bound of the later ones
)

// patience is how long a paced call of a build that no run waits for asks for a
// token with the build's priority. Then it asks as if one did: a run on another
// worker may wait for the lease that this build holds.
const patience = 30 * time.Second

// call makes the call, and repeats it while that can help and the lease holds.
// A throttled call has not been executed: it is repeated until ctx ends, which
// is when the build's time is up.
func (t *term) call(ctx context.Context, c call) error {
	for pause, unsure := firstPause, 0; ; pause = min(2*pause, longestWait) {
		if err := t.ready(ctx, c); err != nil {
			return err
		}
		t.metrics.calls.WithLabelValues(c.op).Inc()
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

// ready waits for a token, then checks that the lease still holds: a leader
// that lost it must not repeat or delete the work of the next holder.
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

// again tells whether a failed call is repeated, up to maxUnsure tries.
// Throttled calls are not judged here.
func (c call) again(err error) bool {
	switch function.ClassOf(err) {
	case function.Ambiguous, function.Unsent, function.BadSignature:
		return true
	case function.NotReady:
		return !c.poll // a poll has waited for its whole timeout already
	case function.NotFound:
		return c.settling
	}
	return errors.Is(err, context.DeadlineExceeded) && !c.poll
}

// pace takes a token from the fleet's bucket, with the build's priority. A build
// that no run waits for asks with its own until patience has passed.
func (t *term) pace(ctx context.Context) error {
	defer func(asked time.Time) { t.metrics.tokenWait.Observe(time.Since(asked).Seconds()) }(time.Now())
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for patient.Err() == nil {
		p, raised := t.f.priority()
		if p == ForRun {
			break
		}
		if t.waitUnless(patient, raised, p) == nil {
			return nil
		}
	}
	if err := t.deps.Limiter.Wait(ctx, ForRun); err != nil {
		return during(ctx, err)
	}
	return nil
}

// waitUnless waits for a token until the build's priority is raised.
func (t *term) waitUnless(ctx context.Context, raised <-chan struct{}, p Priority) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered := make(chan struct{})
	defer close(answered)
	go func() {
		select {
		case <-raised:
			cancel()
		case <-answered:
		}
	}()
	return t.deps.Limiter.Wait(ctx, p)
}
