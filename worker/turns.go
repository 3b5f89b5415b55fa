package worker

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fair"
)

// turns decide which runs execute in this worker, and how many at a time. The
// next turn goes to the tenant with the fewest used seconds per weight. The
// limit follows Lambda's throttling: down by a third when the account's
// concurrency is used up, up by one after limit successes.
//
// A taken turn is not taken away, so a tenant could have to wait for the end of
// another's long run. A reserve beyond the limit prevents that. It shrinks with
// the limit, and a tenant gets a turn from it while
//
//	turns the tenant has < turns of the reserve that are free
//
// Example: limit 32, reserve 8, and tenant A has all 32 turns. A gets nothing of
// the reserve (32 ≥ 8). B, with long runs and no turn yet, gets one (0 < 8), then
// more until it has 4 (4 ≥ 8-4). C then gets 2, and D and E one each.
type turns struct {
	max, reserve int

	mu      sync.Mutex
	limit   float64
	inUse   int
	running map[string]int // turns taken, by tenant
	queue   *fair.Queue[*waiter]
	down    time.Time // of the last step down
}

// waiter is a run that waits for a turn.
type waiter struct {
	tenant  string
	granted chan struct{}
}

const (
	// advance is charged, in seconds, when a turn is granted, so that a tenant
	// cannot take all turns before its first run ends and is charged.
	advance = 1.0
	// stepDown is the factor for a throttle. It applies at most once in
	// stepEvery, because throttles at the same time have the same cause.
	stepDown  = 0.67
	stepEvery = time.Second
)

func newTurns(n, reserve int) *turns {
	return &turns{max: n, reserve: reserve, limit: float64(n), running: map[string]int{}, queue: fair.New[*waiter]()}
}

// take waits for a turn. The caller must call give.
func (t *turns) take(ctx context.Context, tenant string, weight float64) error {
	t.mu.Lock()
	w := &waiter{tenant: tenant, granted: make(chan struct{})}
	entry := t.queue.Push(tenant, weight, w)
	t.grant()
	t.mu.Unlock()

	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.queue.Remove(entry) { // it was granted meanwhile
		t.queue.Charge(tenant, -advance)
		t.free(tenant)
	}
	return context.Cause(ctx)
}

// give returns a turn, and charges the time that it was used.
func (t *turns) give(tenant string, used time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue.Charge(tenant, used.Seconds()-advance)
	t.free(tenant)
}

// free makes a turn available again. The caller holds mu.
func (t *turns) free(tenant string) {
	t.inUse--
	if t.running[tenant]--; t.running[tenant] == 0 {
		delete(t.running, tenant)
	}
	t.grant()
}

// charge adds what a tenant used besides its turns: the build of its script.
func (t *turns) charge(tenant string, used time.Duration) {
	if used <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue.Charge(tenant, used.Seconds())
}

// throttled lowers the limit: the account's concurrency is used up.
func (t *turns) throttled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.down) >= stepEvery {
		t.limit, t.down = max(1, t.limit*stepDown), now
	}
}

// succeeded raises the limit slowly, up to the configured one.
func (t *turns) succeeded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limit < float64(t.max) {
		t.limit = min(float64(t.max), t.limit+1/t.limit)
		t.grant()
	}
}

// grant grants the free turns. The caller holds mu.
func (t *turns) grant() {
	for {
		w, ok := t.next()
		if !ok {
			return
		}
		t.inUse++
		t.running[w.tenant]++
		t.queue.Charge(w.tenant, advance)
		close(w.granted)
	}
}

// next is the waiter that gets the next turn, if there is one. The caller holds
// mu.
func (t *turns) next() (*waiter, bool) {
	limit := int(t.limit)
	if t.inUse < limit {
		return t.queue.Next()
	}
	spare := limit + t.reserve*limit/t.max - t.inUse
	if spare <= 0 {
		return nil, false
	}
	return t.queue.NextOf(func(tenant string) bool { return t.running[tenant] < spare })
}

func (t *turns) counts() (limit, inUse, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.limit), t.inUse, t.queue.Len()
}
