// Package faults holds the faults that a test has set in an embedded service.
// Each service defines its own kinds of fault, and which calls they apply to.
package faults

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// Fault is a fault of a service.
type Fault interface {
	// Odds returns how many calls the fault hits (0: all), and the probability
	// that it hits a call to which it applies (0: certainly).
	Odds() (times int, probability float64)
}

// Set is a set of faults that may change while a service runs. The zero value
// is empty.
type Set[F Fault] struct {
	mu  sync.Mutex
	all []*entry[F]
}

type entry[F Fault] struct {
	fault F
	left  int // 0: no limit
}

// Add adds a fault and returns a function that removes it.
func (s *Set[F]) Add(fault F) (remove func()) {
	times, _ := fault.Odds()
	added := &entry[F]{fault, times}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = slices.DeleteFunc(s.all, func(e *entry[F]) bool { return e == added })
	}
}

// Clear removes all faults.
func (s *Set[F]) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

// Hit returns the first fault that applies to a call and hits it.
func (s *Set[F]) Hit(could func(F) bool) (hit F, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, e := range s.all {
		_, probability := e.fault.Odds()
		if !could(e.fault) || (probability > 0 && rand.Float64() >= probability) {
			continue
		}
		if e.left == 1 {
			s.all = slices.Delete(s.all, n, n+1)
		} else if e.left > 1 {
			e.left--
		}
		return e.fault, true
	}
	return hit, false
}
