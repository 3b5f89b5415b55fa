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
//
// Nobody is taken off a slot, so when long scripts have them all a tenant would
// wait for one of them to end. For that there is a reserve, beyond the limit and
// in proportion to it: a tenant gets a slot of it while it has fewer at work here
// than the reserve has free. Whoever has taken the slots has none of it, one run
// of a tenant that has nothing here is served at once, and each further tenant
// with long scripts gets half of what is left.
type slots struct {
	max, reserve int

	mu      sync.Mutex
	limit   float64
	inUse   int
	running map[string]int // by tenant
	queue   *fair.Queue[*turn]
	down    time.Time // of the last step down
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

func newSlots(n, reserve int) *slots {
	return &slots{max: n, reserve: reserve, limit: float64(n), running: map[string]int{}, queue: fair.New[*turn]()}
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
		s.free(tenant)
	}
	return context.Cause(ctx)
}

// give gives a slot back after the time that it was used for.
func (s *slots) give(tenant string, used time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Charge(tenant, used.Seconds()-advance)
	s.free(tenant)
}

// free takes a slot back; mu is held.
func (s *slots) free(tenant string) {
	s.inUse--
	if s.running[tenant]--; s.running[tenant] == 0 {
		delete(s.running, tenant)
	}
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
	for {
		t, ok := s.next()
		if !ok {
			return
		}
		s.inUse++
		s.running[t.tenant]++
		s.queue.Charge(t.tenant, advance)
		close(t.granted)
	}
}

// next is whose turn it is, if there is a slot for it; mu is held.
func (s *slots) next() (*turn, bool) {
	limit := int(s.limit)
	if s.inUse < limit {
		return s.queue.Next()
	}
	spare := limit + s.reserve*limit/s.max - s.inUse
	if spare <= 0 {
		return nil, false
	}
	return s.queue.NextOf(func(tenant string) bool { return s.running[tenant] < spare })
}

func (s *slots) counts() (limit, inUse, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.limit), s.inUse, s.queue.Len()
}
