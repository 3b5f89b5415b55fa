package fairness

import (
	"slices"
	"sync"
	"time"
)

// begun notes when runs began: those of quiet tenants by their number, those of
// the flood by how many there were.
type begun struct {
	mu    sync.Mutex
	runs  []ask
	flood int
}

// ask is a run of a quiet tenant: when it was to be sent, and when its script
// began; zero while it has not.
type ask struct {
	tenant  int
	new     bool // of a new script
	due, at time.Time
}

func newBegun() *begun { return &begun{} }

// expect notes a run that is about to be sent, and gives it its number.
func (b *begun) expect(a ask) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = append(b.runs, a)
	return len(b.runs) - 1
}

func (b *begun) note(n int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < 0 {
		b.flood++
		return
	}
	if b.runs[n].at.IsZero() {
		b.runs[n].at = now
	}
}

func (b *begun) floods() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flood
}

// waits are those of some runs.
type waits struct {
	all     []time.Duration // in order
	unbegun int
}

// between are the waits of the runs that were due between two times; what has
// not begun has waited until now.
func (b *begun) between(from, to time.Time, new bool) waits {
	b.mu.Lock()
	defer b.mu.Unlock()
	var w waits
	for _, a := range b.runs {
		if a.new != new || a.due.Before(from) || !a.due.Before(to) {
			continue
		}
		at := a.at
		if at.IsZero() {
			at, w.unbegun = time.Now(), w.unbegun+1
		}
		w.all = append(w.all, at.Sub(a.due))
	}
	slices.Sort(w.all)
	return w
}

// pending is how many of the runs due before a time have not begun.
func (b *begun) pending(before time.Time) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.runs {
		if a.at.IsZero() && a.due.Before(before) {
			n++
		}
	}
	return n
}

// percentile is the wait that p of all do not exceed.
func (w waits) percentile(p float64) time.Duration {
	if len(w.all) == 0 {
		return 0
	}
	i := int(p*float64(len(w.all))+0.999999) - 1
	return w.all[min(max(i, 0), len(w.all)-1)]
}
