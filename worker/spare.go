package worker

import (
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// spares are tenants' slots of runs that have ended here, kept for the tenant's
// next run: so a tenant that runs all the time takes and gives none. The cap stays
// exact, since a kept slot is a taken one.
//
// What is kept could be missing to the tenant in another worker. So a slot is kept
// for spareFor at most, each worker keeps one for each spareOf of the cap, and none
// for a tenant that was refused here lately. The heartbeat renews what is kept, and
// a worker that stops gives it back.
type spares struct {
	give func([]slot.Ask)

	mu     sync.Mutex // held while a slot moves between a run and here
	kept   map[string][]spare
	closed bool
}

// spare is a kept slot.
type spare struct {
	ask   slot.Ask
	since time.Time
}

const (
	spareFor = time.Second
	spareOf  = 10
)

func newSpares(give func([]slot.Ask)) *spares {
	return &spares{give: give, kept: map[string][]spare{}}
}

// take gives a kept slot of the scope to the run. A slot that was granted under
// another cap is not used, since the cap may be lower now.
func (s *spares) take(h *held, a slot.Ask) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept[a.Scope]
	if len(kept) == 0 {
		return false
	}
	last := kept[len(kept)-1].ask
	if last.Cap != a.Cap {
		return false
	}
	s.put(a.Scope, kept[:len(kept)-1])
	h.mu.Lock()
	h.slots = append(h.slots, last)
	h.mu.Unlock()
	return true
}

// keep takes over the run's slots of the scope, for which that many runs wait, as
// far as they may be kept, and returns the others.
func (s *spares) keep(h *held, scope string, waiting int) (others []slot.Ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.slots {
		kept := s.kept[a.Scope]
		if a.Scope != scope || s.closed || len(kept) >= max(a.Cap/spareOf, min(a.Cap, waiting)) {
			others = append(others, a)
			continue
		}
		if len(kept) == 0 {
			s.sweepIn(a.Scope, spareFor)
		}
		s.put(a.Scope, append(kept, spare{a, time.Now()}))
	}
	h.slots = nil
	return others
}

// put sets the kept slots of a scope, the oldest first. The caller holds mu.
func (s *spares) put(scope string, kept []spare) {
	if len(kept) == 0 {
		delete(s.kept, scope)
		return
	}
	s.kept[scope] = kept
}

// sweepIn gives back, after that time, what was kept for spareFor.
func (s *spares) sweepIn(scope string, d time.Duration) {
	time.AfterFunc(d, func() {
		s.mu.Lock()
		kept, now := s.kept[scope], time.Now()
		var old []slot.Ask
		for len(kept) > 0 && now.Sub(kept[0].since) >= spareFor {
			old, kept = append(old, kept[0].ask), kept[1:]
		}
		s.put(scope, kept)
		if len(kept) > 0 {
			s.sweepIn(scope, kept[0].since.Add(spareFor).Sub(now))
		}
		s.mu.Unlock()
		s.give(old)
	})
}

// close gives everything back; nothing is kept from then on.
func (s *spares) close() {
	s.mu.Lock()
	s.closed = true
	all := s.all()
	s.kept = map[string][]spare{}
	s.mu.Unlock()
	s.give(all)
}

// all are the kept slots. The caller holds mu.
func (s *spares) all() (asks []slot.Ask) {
	for _, kept := range s.kept {
		for _, k := range kept {
			asks = append(asks, k.ask)
		}
	}
	return asks
}
