// Package fair decides who is next: it shares a scarce thing among tenants in
// proportion to their weights, by what they have used of it, not by how often
// they asked. What is charged is worker-seconds, builds included: counting runs
// would blame a tenant of many short runs for the wait that one of few long
// runs makes.
//
// It is start-time fair queueing. Each tenant has a virtual time, which grows
// by what it is charged divided by its weight; the waiting tenant with the
// least is next. A tenant that comes back from idling starts at the virtual
// time of whoever was served last, so that idleness earns no credit, and what
// it overused before is not forgotten.
//
// A Queue knows no clock and no goroutine; whoever owns it guards it. It costs
// O(log tenants) a step, and an idle tenant costs nothing once the others have
// caught up with it.
package fair

import "container/heap"

// Queue holds what waits, in each tenant first in first out.
type Queue[T any] struct {
	tenants map[string]*tenant[T]
	waiting waiting[T] // tenants with something waiting, least virtual time first
	now     float64    // virtual time of whoever was served last
	length  int
}

type tenant[T any] struct {
	name   string
	time   float64
	weight float64
	fifo   []*Entry[T]
	index  int // in waiting; -1 while nothing waits
}

// Entry is one thing that waits.
type Entry[T any] struct {
	Value  T
	tenant *tenant[T] // nil once it was taken or removed
}

// New returns an empty Queue.
func New[T any]() *Queue[T] {
	return &Queue[T]{tenants: make(map[string]*tenant[T])}
}

// Len is how many entries wait.
func (q *Queue[T]) Len() int { return q.length }

// Push lets v wait for the tenant, whose weight is from now on weight: a tenant
// of weight 2 gets twice the share of one of weight 1. A weight of 0 or less
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

// Next takes the entry that is next.
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

// NextOf takes the entry that is next among those of the tenants that may have
// it. The others lose nothing by it: their time is not over.
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

// Remove takes an entry that no longer waits for its turn; it reports false for
// one that has been taken.
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

// Charge notes that the tenant has used seconds of what is shared. A negative
// amount gives back what was charged in advance.
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

// forget drops an idle tenant whom the others have caught up with. Those that
// are ahead are looked at again, a few each time, so that what is kept of idle
// tenants stays within a small multiple of those that are truly ahead.
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

// maxIdle bounds how many idle tenants are remembered for what they overused
// while nobody at all waits: nobody is owed anything then.
const maxIdle = 1024

func positive(weight float64) float64 {
	if weight > 0 {
		return weight
	}
	return 1
}

// waiting is a heap by virtual time.
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
