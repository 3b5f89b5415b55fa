// Package memslot counts slots in memory: for tests, for simulations (its only
// clock is time.Now), and for a fleet of one process. Forget does to it what
// FLUSHALL does to Redis.
package memslot

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// Slots implements slot.Slots.
type Slots struct {
	mu     sync.Mutex
	scopes map[string]map[string]time.Time // of a scope, its owners and the end of their slots
}

var _ slot.Slots = (*Slots)(nil)

func New() *Slots {
	s := &Slots{}
	s.Forget()
	return s
}

// Forget drops all slots.
func (s *Slots) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = map[string]map[string]time.Time{}
}

func (s *Slots) Take(ctx context.Context, asks []slot.Ask, ttl time.Duration) ([]bool, error) {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	granted := make([]bool, len(asks))
	for i, a := range asks {
		owners := s.taken(a.Scope, now)
		_, has := owners[a.Owner]
		granted[i] = has || len(owners) < a.Cap
		if granted[i] {
			s.put(a, now.Add(ttl))
		}
	}
	return granted, nil
}

func (s *Slots) Renew(ctx context.Context, asks []slot.Ask, ttl time.Duration) error {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, a := range asks {
		s.put(a, now.Add(ttl))
	}
	return nil
}

func (s *Slots) Give(ctx context.Context, asks []slot.Ask) error {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, a := range asks {
		delete(s.scopes[a.Scope], a.Owner)
		s.taken(a.Scope, now)
	}
	return nil
}

func (s *Slots) InUse(ctx context.Context, scope string) (int, error) {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return len(s.taken(scope, now)), nil
}

func (s *Slots) put(a slot.Ask, end time.Time) {
	if s.scopes[a.Scope] == nil {
		s.scopes[a.Scope] = map[string]time.Time{}
	}
	s.scopes[a.Scope][a.Owner] = end
}

// taken drops what ran out of a scope, and the scope with its last slot.
func (s *Slots) taken(scope string, now time.Time) map[string]time.Time {
	owners := s.scopes[scope]
	for owner, end := range owners {
		if !end.After(now) {
			delete(owners, owner)
		}
	}
	if len(owners) == 0 {
		delete(s.scopes, scope)
	}
	return owners
}

// enter starts an operation: all of it happens at one instant, under the lock.
// It looks at two scopes that nobody may ask for again, so that those whose
// holders died stay a small share of the whole.
func (s *Slots) enter(ctx context.Context) (now time.Time, unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, nil, err
	}
	s.mu.Lock()
	now = time.Now()
	looked := 0
	for scope := range s.scopes { // in random order
		if looked++; looked > 2 {
			break
		}
		s.taken(scope, now)
	}
	return now, s.mu.Unlock, nil
}
