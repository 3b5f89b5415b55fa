// Package memlease grants leases in the memory of one process, for tests and
// simulations. It uses the clock of package time, so it follows the fake clock
// of testing/synctest.
package memlease

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
)

// Leases implements lease.Leases.
type Leases struct {
	mu     sync.Mutex
	grants map[string]*grant
}

// grant is the last grant of a key. It is kept after its lease has ended, so
// that the next grant gets a greater fence.
type grant struct {
	owner    string
	fence    int64
	until    time.Time
	released bool
}

// New returns Leases without a grant.
func New() *Leases { return &Leases{grants: make(map[string]*grant)} }

// Acquire implements lease.Leases.
func (m *Leases) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	if err := ctx.Err(); err != nil {
		return lease.Lease{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	g := m.grants[key]
	if g != nil && g.holds(now) {
		return lease.Lease{}, &lease.HeldError{Key: key, Owner: g.owner, Left: g.until.Sub(now)}
	}
	fence := now.UnixMicro()
	if g != nil {
		fence = max(fence, g.fence+1)
	}
	m.grants[key] = &grant{owner: owner, fence: fence, until: now.Add(ttl)}
	return lease.Lease{Key: key, Owner: owner, Fence: fence, First: g == nil}, nil
}

// Renew implements lease.Leases.
func (m *Leases) Renew(ctx context.Context, l lease.Lease, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.grants[l.Key]
	if g == nil {
		g = &grant{owner: l.Owner, fence: l.Fence}
		m.grants[l.Key] = g
	}
	if !g.is(l) || g.released {
		return lease.ErrLost
	}
	g.until = time.Now().Add(ttl)
	return nil
}

// Release implements lease.Leases.
func (m *Leases) Release(ctx context.Context, l lease.Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.grants[l.Key]; g != nil && g.is(l) {
		g.released = true
	}
	return nil
}

// Held returns how many leases are held.
func (m *Leases) Held() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.grants {
		if g.holds(time.Now()) {
			n++
		}
	}
	return n
}

// Flush removes all leases and fences, like Redis' FLUSHALL.
func (m *Leases) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.grants)
}

func (g *grant) holds(now time.Time) bool { return !g.released && now.Before(g.until) }

func (g *grant) is(l lease.Lease) bool { return g.owner == l.Owner && g.fence == l.Fence }
