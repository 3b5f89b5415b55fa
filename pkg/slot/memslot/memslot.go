// Package memslot counts slots in the memory of one process, for tests and
// simulations. It uses the clock of package time, so it follows the fake clock
// of testing/synctest. Forget is like Redis' FLUSHALL.
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
	scopes map[string]map[string]time.Time // scope → owner → end of the slot
}

var _ slot.Slots = (*Slots)(nil)

// New returns Slots of which none is taken.
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

func (s *Slots) InUse(ctx context.Context, scopes []string) ([]int, error) {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	taken := make([]int, len(scopes))
	for i, scope := range scopes {
		taken[i] = len(s.taken(scope, now))
	}
	return taken, nil
}

func (s *Slots) put(a slot.Ask, end time.Time) {
	if s.scopes[a.Scope] == nil {
		s.scopes[a.Scope] = map[string]time.Time{}
	}
	s.scopes[a.Scope][a.Owner] = end
}

// taken drops the slots of a scope that ran out, and the scope with its last
// slot. It returns the slots that are left.
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

// enter locks the slots for one operation, and returns the time at which all of
// the operation happens. It also checks two scopes, in random order, so that
// scopes whose holders died stay a small share of all.
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
