package faults

import "testing"

type fault struct {
	name        string
	times       int
	probability float64
}

func (f fault) Odds() (int, float64) { return f.times, f.probability }

func TestAFaultHitsAsOftenAsItSays(t *testing.T) {
	var s Set[fault]
	any := func(fault) bool { return true }
	if _, ok := s.Hit(any); ok {
		t.Error("an empty set hits")
	}
	remove := s.Add(fault{name: "always"})
	s.Add(fault{name: "twice", times: 2})
	named := func(name string) func(fault) bool { return func(f fault) bool { return f.name == name } }
	for n := range 3 {
		if _, ok := s.Hit(named("twice")); ok != (n < 2) {
			t.Errorf("hit %d of a fault that hits twice: %v", n, ok)
		}
		if f, ok := s.Hit(any); !ok || f.name != "always" {
			t.Errorf("%+v %v", f, ok)
		}
	}
	remove()
	if f, ok := s.Hit(any); ok {
		t.Errorf("taken back, %+v hits", f)
	}
	s.Add(fault{name: "cleared"})
	s.Clear()
	if f, ok := s.Hit(any); ok {
		t.Errorf("cleared, %+v hits", f)
	}
}

func TestAFaultHitsWithItsProbability(t *testing.T) {
	var s Set[fault]
	s.Add(fault{probability: 0.5})
	hits := 0
	for range 1000 {
		if _, ok := s.Hit(func(fault) bool { return true }); ok {
			hits++
		}
	}
	if hits < 300 || hits > 700 {
		t.Errorf("%d of 1000 calls are hit", hits)
	}
}
