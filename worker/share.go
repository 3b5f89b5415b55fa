package worker

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// share is what a tenant has in hand. It may take one more while
//
//	active < activeFactor × (room - what all have active)
//	parked < parkedFactor × (MaxParked - what all have parked), and so in bytes
//
// so its share shrinks as other tenants come. Example: the room is 96, three
// for each of 32 turns. One tenant that floods gets 64 (64 = 2 × (96-64)); two
// get about 38 each, and 19 stay free for a tenant that comes later. Of the
// parked, one tenant gets three quarters. Deliveries above the share are kept
// undecoded (see kept.go): no claim, no attempt, no round trip to the ledger.
type share struct {
	active  int // in hand, neither parked nor kept nor leaving
	running int // those with the fleet's slots

	kept                int // above the share
	parked, parkedBytes int

	// Until cappedUntil the tenant counts as capped: only a few deliveries more
	// than it has running are taken in hand. They wait for one of its runs here
	// to end, first in first out.
	cappedUntil time.Time
	waiting     []chan struct{}
}

const (
	activeFactor = 2
	parkedFactor = 3

	// cappedFor is how long a refusal counts.
	cappedFor = 5 * time.Second
	// cappedWait is how long a capped run keeps its place in this worker.
	cappedWait = time.Second
)

// of returns a tenant's share, and makes it if needed. The caller holds mu.
func (in *inflight) of(tenant string) *share {
	s := in.shares[tenant]
	if s == nil {
		s = &share{}
		in.shares[tenant] = s
	}
	return s
}

// forget drops an empty share. The caller holds mu.
func (in *inflight) forget(tenant string) {
	s := in.shares[tenant]
	if s != nil && s.active == 0 && s.kept == 0 && s.parked == 0 && time.Now().After(s.cappedUntil) {
		delete(in.shares, tenant)
	}
}

// forgetCaps drops the shares of tenants that were capped and have nothing here.
func (in *inflight) forgetCaps() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for tenant := range in.shares {
		in.forget(tenant)
	}
}

// left is how many more of the tenant's deliveries may be in hand. The caller
// holds mu.
func (in *inflight) left(tenant string) int {
	s := in.shares[tenant]
	if s == nil {
		return queue.MaxBatch
	}
	free := roomFactor*in.concurrency - in.active
	// A tenant without an active delivery may always have one.
	n := max(activeFactor*free-s.active, 1-s.active)
	// Each delivery that is taken lowers activeFactor × free - active by
	// activeFactor + 1, so a third of the difference may be taken, rounded up.
	n = (n + activeFactor) / (1 + activeFactor)
	if time.Now().Before(s.cappedUntil) {
		n = min(n, s.running+max(4, in.concurrency/4)-s.active)
	}
	return n
}

// crowded waits until the tenant may have some more in hand, at most for pause,
// because the partition may have deliveries of other tenants. It returns how
// many deliveries to ask for, at least one.
func (in *inflight) crowded(ctx context.Context, tenant string, pause time.Duration) int {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for over := false; ; {
		in.mu.Lock()
		n, changed := in.more(tenant), in.changed
		in.mu.Unlock()
		if over || n >= (in.some()+3)/4 {
			return max(1, n)
		}
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
}

// leaves records that a delivery is past its execution: what is left of it
// needs no turn, so it takes no room. As many may be leaving as may be active;
// above that, the room waits for the results queue.
func (in *inflight) leaves(h *held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !h.active || in.leaving == roomFactor*in.concurrency {
		return
	}
	h.active, h.leaving = false, true
	in.leaving++
	in.active--
	in.of(h.tenant()).active--
	in.tell()
}

// hasSlots records that a run has its tenant's slots in the fleet.
func (in *inflight) hasSlots(h *held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.of(h.tenant()).running++
	h.running = true
}

// gaveSlots records that a run has given its slots back, and wakes the tenant's
// next run that waits for one.
func (in *inflight) gaveSlots(h *held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !h.running {
		return
	}
	h.running = false
	s := in.of(h.tenant())
	s.running--
	s.wake()
	in.tell()
}

func (s *share) wake() {
	if len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// spareable is how many slots of runs that end the tenant's runs in hand are about
// to take. It is negative for a tenant that was refused at a cap lately.
func (in *inflight) spareable(tenant string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.shares[tenant]
	switch {
	case s == nil:
		return 0
	case time.Now().Before(s.cappedUntil):
		return -1
	}
	return max(0, s.active-s.running)
}

// capped records that the tenant is at a cap, and waits until one of its runs
// here ends, or ctx does.
func (in *inflight) capped(ctx context.Context, h *held) {
	free := make(chan struct{})
	in.mu.Lock()
	s := in.of(h.tenant())
	s.cappedUntil = time.Now().Add(cappedFor)
	s.waiting = append(s.waiting, free)
	in.mu.Unlock()
	select {
	case <-free:
		return
	case <-ctx.Done():
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, c := range s.waiting {
		if c == free {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return
		}
	}
	s.wake() // woken too late: wake the next one
}
