package fairness

import (
	"slices"
	"sync"
	"time"
)

// begun records when runs began: quiet tenants' by their number, the flood's
// only as a count.
type begun struct {
	mu    sync.Mutex
	runs  []ask
	flood int
}

// ask is a run of a quiet tenant: when it was due, and when its script began
// (zero before).
type ask struct {
	tenant  int
	new     bool // of a new script
	due, at time.Time
}

func newBegun() *begun { return &begun{} }

// expect records a run that is about to be sent, and returns its number.
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

// waits are the waits of some runs.
type waits struct {
	all     []time.Duration // sorted
	unbegun int
}

// between returns the waits of the runs that were due between two times. A run
// that has not begun has waited until now.
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

// pending counts the runs that were due before a time and have not begun.
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

// percentile is the wait that the fraction p of all do not exceed.
func (w waits) percentile(p float64) time.Duration {
	if len(w.all) == 0 {
		return 0
	}
	i := int(p*float64(len(w.all))+0.999999) - 1
	return w.all[min(max(i, 0), len(w.all)-1)]
}
