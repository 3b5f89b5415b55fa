package lease_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
)

const ttl = 15 * time.Second

// faulty wraps Leases, and runs renew before each Renew.
type faulty struct {
	lease.Leases
	mu    sync.Mutex
	renew func(ctx context.Context) error // nil, or called first by Renew; its error is Renew's
	calls int
}

func (f *faulty) Renew(ctx context.Context, l lease.Lease, ttl time.Duration) error {
	f.mu.Lock()
	f.calls++
	before := f.renew
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	return f.Leases.Renew(ctx, l, ttl)
}

func (f *faulty) set(renew func(ctx context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renew = renew
}

func hold(t *testing.T, test func(t *testing.T, f *faulty, h *lease.Hold)) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Leases: memlease.New()}
		h, err := lease.Take(t.Context(), f, "k", "a", ttl)
		if err != nil {
			t.Fatal(err)
		}
		test(t, f, h)
		if err := h.Release(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestHoldOutlastsItsTTLByRenewal(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		time.Sleep(100 * ttl)
		if !h.Valid() || h.Context().Err() != nil {
			t.Fatal("lost")
		}
		if f.calls < 290 || f.calls > 310 {
			t.Errorf("%d renewals in 100 TTLs, want one every third", f.calls)
		}
		if _, err := f.Acquire(t.Context(), "k", "b", ttl); err == nil {
			t.Error("granted to another")
		}
	})
}

func TestHoldEndsBeforeTheKeyCanBeGrantedToAnother(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		f.set(func(context.Context) error { return errors.New("out of reach") })
		<-h.Context().Done()
		if cause := context.Cause(h.Context()); !errors.Is(cause, lease.ErrLost) {
			t.Errorf("ended with %v, want ErrLost", cause)
		}
		if h.Valid() {
			t.Error("still valid")
		}
		var held *lease.HeldError
		if _, err := f.Acquire(t.Context(), "k", "b", ttl); !errors.As(err, &held) {
			t.Fatal("another was granted the key by then")
		}
		if held.Left < ttl/10 {
			t.Errorf("only %s to spare", held.Left)
		}
	})
}

func TestHoldEndsInTimeThoughARenewalHangs(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		start := time.Now()
		f.set(func(context.Context) error { time.Sleep(10 * ttl); return nil }) // ignores its context
		<-h.Context().Done()
		if took := time.Since(start); took > ttl*4/5 {
			t.Errorf("ended after %s of a TTL of %s", took, ttl)
		}
	})
}

func TestHoldGoesOnThroughErrorsWhileTimeIsLeft(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		f.set(func(context.Context) error { return errors.New("out of reach") })
		time.Sleep(ttl * 2 / 3)
		f.set(nil)
		time.Sleep(10 * ttl)
		if !h.Valid() {
			t.Error("lost, though the service came back in time")
		}
	})
}

func TestHoldTriesAgainWhenOneRenewalHangs(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		var once sync.Once
		f.set(func(ctx context.Context) (err error) {
			once.Do(func() { <-ctx.Done(); err = ctx.Err() })
			return err
		})
		time.Sleep(10 * ttl)
		if !h.Valid() {
			t.Error("lost by one call that hung")
		}
	})
}

func TestHoldMeasuresFromBeforeTheCallWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memlease.New()
		h, err := lease.Take(t.Context(), slow{m}, "k", "a", ttl)
		if err != nil {
			t.Fatal(err)
		}
		if h.Valid() {
			t.Error("a grant whose answer took a whole TTL is trusted")
		}
		synctest.Wait()
		if !errors.Is(context.Cause(h.Context()), lease.ErrLost) {
			t.Error("and its context goes on")
		}
		h.Release(t.Context())
	})
}

// slow delays the answer of Acquire by a TTL.
type slow struct{ lease.Leases }

func (s slow) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	l, err := s.Leases.Acquire(ctx, key, owner, ttl)
	time.Sleep(ttl)
	return l, err
}

func TestHoldEndsAtOnceWhenAnotherWasGranted(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		f.Leases.(*memlease.Leases).Flush()
		if _, err := f.Acquire(t.Context(), "k", "b", ttl); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-h.Context().Done()
		if took := time.Since(start); took > ttl/3 {
			t.Errorf("noticed after %s, want the next renewal", took)
		}
	})
}

func TestReleaseFreesTheKeyAndEndsTheContext(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if cause := context.Cause(h.Context()); cause != context.Canceled || h.Valid() {
			t.Errorf("released: cause %v, valid %t", cause, h.Valid())
		}
		if _, err := f.Acquire(t.Context(), "k", "b", ttl); err != nil {
			t.Error(err)
		}
	})
}

func TestTakeFailsWithTheHolder(t *testing.T) {
	hold(t, func(t *testing.T, f *faulty, h *lease.Hold) {
		_, err := lease.Take(t.Context(), f, "k", "b", ttl)
		var held *lease.HeldError
		if !errors.As(err, &held) || held.Owner != "a" {
			t.Errorf("got %v, want held by a", err)
		}
	})
}
