package worker

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fair"
)

// slots are the runs that may execute in this worker at a time, shared among
// tenants by the seconds that they use. How many there are follows Lambda's
// throttling: down by a third when it says that the account has no more
// concurrency, up by one for as many successes as there are slots.
type slots struct {
	max int

	mu    sync.Mutex
	limit float64
	inUse int
	queue *fair.Queue[*turn]
	down  time.Time // of the last step down
}

// turn is one run's wait for a slot.
type turn struct {
	tenant  string
	granted chan struct{}
}

const (
	// advance is charged, in seconds, when a slot is granted, so that a tenant
	// can't take them all before its first run has been charged.
	advance = 1.0
	// stepDown is how far the limit goes down, at most once in stepEvery: the
	// throttles of one moment say the same thing.
	stepDown  = 0.67
	stepEvery = time.Second
)

func newSlots(n int) *slots {
	return &slots{max: n, limit: float64(n), queue: fair.New[*turn]()}
}

// take waits for a slot. The caller gives it back with give.
func (s *slots) take(ctx context.Context, tenant string, weight float64) error {
	s.mu.Lock()
	t := &turn{tenant: tenant, granted: make(chan struct{})}
	entry := s.queue.Push(tenant, weight, t)
	s.grant()
	s.mu.Unlock()

	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queue.Remove(entry) { // granted meanwhile
		s.queue.Charge(tenant, -advance)
		s.inUse--
		s.grant()
	}
	return context.Cause(ctx)
}

// give gives a slot back after the time that it was used for.
func (s *slots) give(tenant string, used time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Charge(tenant, used.Seconds()-advance)
	s.inUse--
	s.grant()
}

// charge adds what a tenant used beside slots: the build of its script.
func (s *slots) charge(tenant string, used time.Duration) {
	if used <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Charge(tenant, used.Seconds())
}

// throttled lowers the limit: the account has no more concurrency.
func (s *slots) throttled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.down) >= stepEvery {
		s.limit, s.down = max(1, s.limit*stepDown), now
	}
}

// succeeded raises the limit, slowly, back to what the worker was given.
func (s *slots) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit < float64(s.max) {
		s.limit = min(float64(s.max), s.limit+1/s.limit)
		s.grant()
	}
}

// grant hands out what is free; mu is held.
func (s *slots) grant() {
	for s.inUse < int(s.limit) {
		t, ok := s.queue.Next()
		if !ok {
			return
		}
		s.inUse++
		s.queue.Charge(t.tenant, advance)
		close(t.granted)
	}
}

func (s *slots) counts() (limit, inUse, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.limit), s.inUse, s.queue.Len()
}
