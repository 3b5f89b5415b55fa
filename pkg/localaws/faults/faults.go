// Package faults is the list of faults that tests have the embedded services
// play. What a fault is, and which calls it can hit, is each service's own.
package faults

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// Fault is a service's kind of fault.
type Fault interface {
	// Odds are how often the fault hits, 0 for always, and the probability that
	// it hits a call which it could hit, 0 for certainly.
	Odds() (times int, probability float64)
}

// Set is a set of faults, to be changed while a service runs. The zero value is
// empty.
type Set[F Fault] struct {
	mu  sync.Mutex
	all []*entry[F]
}

type entry[F Fault] struct {
	fault F
	left  int // 0 is without end
}

// Add adds a fault and returns how to take it back.
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

// Clear takes all faults back.
func (s *Set[F]) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

// Hit returns the first fault that could hit a call and does.
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
