package lease

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// Hold is a lease that is kept: renewed at a third of its TTL until Release.
//
// The holder's own clock decides how long the lease is trusted: four fifths of
// the TTL, counted from before the call that granted or renewed it was sent.
// The service counts the whole TTL from when the call arrived, so a holder
// stops before anybody else can be granted the key, as long as the two clocks
// run at rates that differ by less than a fifth. When the trust ends, the
// hold's context ends with the cause ErrLost.
//
// A process that was stopped for longer than that (SIGSTOP, a frozen machine)
// wakes with a context that has not ended yet. Valid reads the clock, so it
// answers rightly at once: ask it right before whatever must not be done by
// two.
type Hold struct {
	leases Leases
	lease  Lease
	ttl    time.Duration

	ctx    context.Context
	cancel context.CancelCauseFunc
	kept   chan struct{} // closed when the keeper has ended

	mu      sync.Mutex
	since   time.Time // before the last call that succeeded was sent
	expires *time.Timer
}

// Take acquires key for owner and keeps the lease. It fails as Acquire does. The
// context of the hold is derived from ctx.
func Take(ctx context.Context, leases Leases, key, owner string, ttl time.Duration) (*Hold, error) {
	sent := time.Now()
	l, err := leases.Acquire(ctx, key, owner, ttl)
	if err != nil {
		return nil, err
	}
	h := &Hold{leases: leases, lease: l, ttl: ttl, since: sent, kept: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	h.expires = time.AfterFunc(time.Until(sent.Add(h.trust())), func() { h.cancel(ErrLost) })
	go func() {
		defer close(h.kept)
		if p := panics.Catch(h.keep); p != nil {
			h.cancel(p)
		}
	}()
	return h, nil
}

// Context ends with the cause ErrLost once the lease is not to be trusted any
// more, with context.Canceled on Release, and with a *panics.Error where the
// keeper panicked: nobody renews the lease then.
func (h *Hold) Context() context.Context { return h.ctx }

// Fence of the lease.
func (h *Hold) Fence() int64 { return h.lease.Fence }

// Valid tells whether the lease can be trusted at this moment.
func (h *Hold) Valid() bool {
	if h.ctx.Err() != nil {
		return false
	}
	h.mu.Lock()
	since := h.since
	h.mu.Unlock()
	return elapsed(since, time.Now()) < h.trust()
}

// Release stops the keeper and gives the lease back, lost or not, as long as
// ctx lasts.
func (h *Hold) Release(ctx context.Context) error {
	h.expires.Stop()
	h.cancel(context.Canceled)
	<-h.kept
	return h.leases.Release(ctx, h.lease)
}

// keep renews until the context ends.
func (h *Hold) keep() {
	next := time.NewTimer(h.ttl / 3)
	defer next.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-next.C:
		}
		err := h.renew()
		switch {
		case err == nil:
			next.Reset(h.ttl / 3)
		case errors.Is(err, ErrLost):
			h.cancel(ErrLost)
		default: // the service is out of reach: go on while there is time
			next.Reset(h.ttl/30 + rand.N(h.ttl/30+1))
		}
	}
}

// renew moves the end of the trust. One call may take no longer than the wait
// between two, so that a connection that hangs leaves time for another.
func (h *Hold) renew() error {
	ctx, cancel := context.WithTimeout(h.ctx, h.ttl/5)
	defer cancel()
	sent := time.Now()
	if err := h.leases.Renew(ctx, h.lease, h.ttl); err != nil {
		return err
	}
	h.mu.Lock()
	h.since = sent
	h.mu.Unlock()
	if h.expires.Stop() {
		h.expires.Reset(time.Until(sent.Add(h.trust())))
	}
	return nil
}

func (h *Hold) trust() time.Duration { return h.ttl - h.ttl/5 }

// elapsed is the longer of what the monotonic and the wall clock say: the
// monotonic one stands still while a machine sleeps, the wall clock may be set.
// Believing the longer one loses a lease too early at worst.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}
