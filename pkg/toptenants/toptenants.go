// Package toptenants bounds the series that metrics have for tenants. A process
// shows the tenants that use most, each under its name; all others share the
// label [Other].
//
// A [Table] has Size places. While one is free, the next tenant that uses
// something gets it. Once they are all taken, a tenant gets the place of another
// if it has used more than twice as much lately. That is reviewed once a minute,
// and what was used counts half after five minutes, so a place changes hands
// rarely. The place of a tenant that has used nothing for about half an hour is
// free again. A tenant that loses its place loses its series.
//
// So a process shows at most Size + 1 values of the label at a time, and begins
// at most Size new ones a minute.
package toptenants

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// Size is the number of tenants that a process shows by name.
	Size = 20
	// Other is the label of all other tenants. The name of a tenant has no
	// underscore.
	Other = "_other"

	// maxOthers bounds the tenants without a place whose use is remembered.
	maxOthers = 1000

	reviewEvery = time.Minute
	halfLife    = 5 * time.Minute
	// ahead is how many times as much as another a tenant must have used to get
	// its place.
	ahead = 2
	// idle is the part of its use below which a tenant counts as idle: after six
	// half-lives, if it has used nothing since.
	idle = 1.0 / 64
)

// Table decides which tenants have a place. It is safe for concurrent use.
type Table struct {
	forget func(label string)

	mu       sync.Mutex
	places   map[string]*use
	others   map[string]*use
	reviewed time.Time
}

// use is how much a tenant has used, and its highest value: both halve.
type use struct{ now, peak float64 }

// New returns an empty table. forget removes the series of a label; it must not
// call the table.
func New(forget func(label string)) *Table {
	return &Table{forget: forget, places: map[string]*use{}, others: map[string]*use{}, reviewed: time.Now()}
}

// Count counts that a tenant has used so much, more than zero, and calls add with
// its label. No series of the label is removed meanwhile.
func (t *Table) Count(tenant string, used float64, add func(label string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.review()
	u := t.places[tenant]
	if u == nil {
		u = t.enter(tenant)
	}
	if u == nil {
		add(Other)
		return
	}
	u.now += used
	u.peak = max(u.peak, u.now)
	if _, shown := t.places[tenant]; shown {
		add(tenant)
	} else {
		add(Other)
	}
}

// enter gives a tenant a place, if one is free, or else remembers its use, if
// there is room for it.
func (t *Table) enter(tenant string) *use {
	u := t.others[tenant]
	switch {
	case len(t.places) < Size:
		if u == nil {
			u = &use{}
		}
		delete(t.others, tenant)
		t.places[tenant] = u
	case u == nil && len(t.others) < maxOthers:
		u = &use{}
		t.others[tenant] = u
	}
	return u
}

// Sum sums figures by label. Every label that is shown has a sum.
func (t *Table) Sum(figures map[string]float64) map[string]float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.review()
	sums := map[string]float64{Other: 0}
	for label := range t.places {
		sums[label] = 0
	}
	for tenant, n := range figures {
		if _, shown := t.places[tenant]; !shown {
			tenant = Other
		}
		sums[tenant] += n
	}
	return sums
}

// review gives places to those that use more, once every reviewEvery.
func (t *Table) review() {
	passed := time.Since(t.reviewed)
	if passed < reviewEvery {
		return
	}
	t.reviewed = time.Now()
	fade := math.Exp2(-passed.Seconds() / halfLife.Seconds())
	for tenant, u := range t.places {
		u.now *= fade
		if u.now < idle*u.peak {
			t.leave(tenant)
		}
	}
	best := t.fadeOthers(fade)
	for len(best) > 0 {
		if len(t.places) == Size {
			least := t.least()
			if t.others[best[0]].now <= ahead*t.places[least].now {
				return
			}
			t.leave(least)
		}
		t.enter(best[0])
		best = best[1:]
	}
}

// fadeOthers forgets the half of the others that use least if there are too many,
// and returns up to Size of those that use most.
func (t *Table) fadeOthers(fade float64) (best []string) {
	for tenant, u := range t.others {
		u.now *= fade
		best = append(best, tenant)
	}
	slices.SortFunc(best, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.others[b].now, t.others[a].now), cmp.Compare(a, b))
	})
	if len(best) > maxOthers/2 {
		for _, tenant := range best[maxOthers/2:] {
			delete(t.others, tenant)
		}
	}
	return best[:min(len(best), Size)]
}

// least is the tenant with a place that uses least.
func (t *Table) least() (least string) {
	for tenant, u := range t.places {
		if least == "" || u.now < t.places[least].now {
			least = tenant
		}
	}
	return least
}

func (t *Table) leave(tenant string) {
	delete(t.places, tenant)
	t.forget(tenant)
}
