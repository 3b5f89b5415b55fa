package lease

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// Hold is a granted lease with a goroutine that renews it every TTL/3, until
// Release.
//
// The holder trusts the lease for 4/5 of its TTL by its own clock, from the
// moment before it sent the Acquire or Renew. The service counts the whole TTL
// from the moment when that call arrived. So the holder stops before another
// owner can be granted the key, provided that the rates of the two clocks
// differ by less than a fifth. When the trust ends, the hold's context ends
// with the cause ErrLost.
//
// A process that was paused for longer than that (SIGSTOP, a suspended machine)
// resumes with a context that has not ended yet, since no timer ran. Valid
// reads the clock and is right at once. Call it immediately before each action
// that two owners must not both take.
type Hold struct {
	leases Leases
	lease  Lease
	ttl    time.Duration

	ctx    context.Context
	cancel context.CancelCauseFunc
	kept   chan struct{} // closed when keep has returned

	mu      sync.Mutex
	since   time.Time   // just before the last successful Acquire or Renew was sent
	expires *time.Timer // cancels ctx with ErrLost when the trust ends
}

// Take acquires key for owner and begins to renew the lease. Its errors are
// those of Acquire. The hold's context is derived from ctx.
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

// Context returns a context that ends with the cause ErrLost when the lease can
// no longer be trusted, with context.Canceled on Release, and with a
// *panics.Error if the goroutine that renews the lease panicked.
func (h *Hold) Context() context.Context { return h.ctx }

// Fence returns the fence of the lease.
func (h *Hold) Fence() int64 { return h.lease.Fence }

// First tells whether no earlier grant of the key is known; see Lease.First.
func (h *Hold) First() bool { return h.lease.First }

// Valid tells whether the lease can be trusted now, by the clock.
func (h *Hold) Valid() bool {
	if h.ctx.Err() != nil {
		return false
	}
	h.mu.Lock()
	since := h.since
	h.mu.Unlock()
	return elapsed(since, time.Now()) < h.trust()
}

// Release stops the renewals and gives the lease back. ctx bounds the call of
// the service only. Releasing a lost lease is no error.
func (h *Hold) Release(ctx context.Context) error {
	h.expires.Stop()
	h.cancel(context.Canceled)
	<-h.kept
	return h.leases.Release(ctx, h.lease)
}

// keep renews the lease until the hold's context ends.
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
		default: // the service is out of reach: try again until the trust ends
			next.Reset(h.ttl/30 + rand.N(h.ttl/30+1))
		}
	}
}

// renew renews the lease once and moves the end of the trust. The call may take
// TTL/5 at most, so that after one that hangs there is time for another.
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

// elapsed returns the time between from and to by the monotonic or by the wall
// clock, whichever is longer: the monotonic clock stops while a machine sleeps,
// and the wall clock may be set back. If the longer one is wrong, the holder
// gives a lease up too early, which is safe.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}
