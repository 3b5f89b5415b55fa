// Package fair shares a resource among tenants in proportion to their weights.
// It counts how much of the resource a tenant has used, and not how often it
// asked: the caller charges worker-seconds, builds included. If it counted
// runs, a tenant with many short runs would wait for a tenant with few long
// ones.
//
// It is start-time fair queueing. Each tenant has a virtual time; the waiting
// tenant with the least is next:
//
//	a charge of s seconds       time += s / weight
//	an idle tenant waits again  time = max(time, time of the tenant served last)
//
// So a tenant gains nothing by idling, and a tenant that used more than its
// share before it became idle still waits for the others to catch up.
//
// A Queue has no clock, no goroutine and no lock; its owner guards it. Push,
// Next and Charge take O(log tenants). NextOf takes that for each tenant that
// it passes over, and Remove is linear in the entries of its tenant. An idle
// tenant uses no memory once the virtual times of the others have reached its
// own.
package fair

import "container/heap"

// Queue holds the waiting entries, first in first out for each tenant.
type Queue[T any] struct {
	tenants map[string]*tenant[T]
	waiting waiting[T] // tenants with waiting entries, least virtual time first
	now     float64    // virtual time of the tenant served last
	length  int
}

type tenant[T any] struct {
	name   string
	time   float64 // virtual time, in seconds divided by weight
	weight float64
	fifo   []*Entry[T]
	index  int // in waiting; -1 while the tenant has no entries
}

// Entry is a waiting value.
type Entry[T any] struct {
	Value  T
	tenant *tenant[T] // nil once it was taken or removed
}

// New returns an empty Queue.
func New[T any]() *Queue[T] {
	return &Queue[T]{tenants: make(map[string]*tenant[T])}
}

// Len returns how many entries wait.
func (q *Queue[T]) Len() int { return q.length }

// Push adds an entry of the tenant, and sets the tenant's weight: a tenant of
// weight 2 gets twice the share of one of weight 1. A weight of 0 or less
// counts as 1.
func (q *Queue[T]) Push(name string, weight float64, v T) *Entry[T] {
	t := q.get(name)
	t.weight = positive(weight)
	e := &Entry[T]{Value: v, tenant: t}
	t.fifo = append(t.fifo, e)
	q.length++
	if t.index < 0 {
		t.time = max(t.time, q.now)
		heap.Push(&q.waiting, t)
	}
	return e
}

// Next removes and returns the next entry; ok is false if none waits.
func (q *Queue[T]) Next() (v T, ok bool) {
	if len(q.waiting) == 0 {
		return v, false
	}
	t := q.waiting[0]
	e := t.fifo[0]
	q.now = max(q.now, t.time)
	q.take(t, 0)
	return e.Value, true
}

// NextOf removes and returns the next entry among the tenants for which may
// returns true. The other tenants keep their virtual times, and so their place.
func (q *Queue[T]) NextOf(may func(name string) bool) (v T, ok bool) {
	var passed []*tenant[T]
	for len(q.waiting) > 0 && !may(q.waiting[0].name) {
		passed = append(passed, heap.Pop(&q.waiting).(*tenant[T]))
	}
	var next *tenant[T]
	if len(q.waiting) > 0 {
		next = q.waiting[0]
	}
	for _, t := range passed {
		heap.Push(&q.waiting, t)
	}
	if next == nil {
		return v, false
	}
	e := next.fifo[0]
	if len(passed) == 0 {
		q.now = max(q.now, next.time)
	}
	q.take(next, 0)
	return e.Value, true
}

// Remove removes a waiting entry. It returns false if the entry was taken or
// removed before.
func (q *Queue[T]) Remove(e *Entry[T]) bool {
	if e.tenant == nil {
		return false
	}
	for i, other := range e.tenant.fifo {
		if other == e {
			q.take(e.tenant, i)
			return true
		}
	}
	return false
}

// Charge adds seconds of use to the tenant. A negative number takes back what
// was charged in advance.
func (q *Queue[T]) Charge(name string, seconds float64) {
	t := q.get(name)
	t.time = max(t.time, q.now) + seconds/t.weight
	if t.index >= 0 {
		heap.Fix(&q.waiting, t.index)
		return
	}
	q.forget(t)
}

func (q *Queue[T]) get(name string) *tenant[T] {
	t := q.tenants[name]
	if t == nil {
		t = &tenant[T]{name: name, weight: 1, index: -1, time: q.now}
		q.tenants[name] = t
	}
	return t
}

func (q *Queue[T]) take(t *tenant[T], i int) {
	t.fifo[i].tenant = nil
	t.fifo = append(t.fifo[:i], t.fifo[i+1:]...)
	q.length--
	if len(t.fifo) == 0 {
		heap.Remove(&q.waiting, t.index)
		q.forget(t)
	}
}

// forget drops t if it is idle and the others have reached its virtual time. It
// also checks four other tenants, in random order, so that the idle tenants in
// memory stay a small multiple of those that are still ahead.
func (q *Queue[T]) forget(t *tenant[T]) {
	if t.index < 0 && t.time <= q.now {
		delete(q.tenants, t.name)
	}
	looked := 0
	for name, other := range q.tenants {
		if other.index < 0 && (other.time <= q.now || q.length == 0 && len(q.tenants) > maxIdle) {
			delete(q.tenants, name)
		}
		if looked++; looked == 4 {
			return
		}
	}
}

// maxIdle bounds how many idle tenants are kept for their overuse while no
// entry waits at all: there is then no tenant that has to catch up with them.
const maxIdle = 1024

func positive(weight float64) float64 {
	if weight > 0 {
		return weight
	}
	return 1
}

// waiting is a heap of tenants by virtual time.
type waiting[T any] []*tenant[T]

func (w waiting[T]) Len() int           { return len(w) }
func (w waiting[T]) Less(i, j int) bool { return w[i].time < w[j].time }
func (w waiting[T]) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

func (w *waiting[T]) Push(x any) {
	t := x.(*tenant[T])
	t.index = len(*w)
	*w = append(*w, t)
}

func (w *waiting[T]) Pop() any {
	old := *w
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*w = old[:len(old)-1]
	return t
}
