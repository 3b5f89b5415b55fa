package builds

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/pkg/fair"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
)

// places bounds how many builds this worker makes at a time. The order of the
// waiting builds is that of their priorities; within one, the build of the tenant
// that has used the fewest place-seconds is first. So a tenant with a thousand
// new scripts does not delay another tenant's only one. Builds that no run waits
// for leave one place free, unless there is only one.
type places struct {
	waiting prometheus.Gauge

	mu     sync.Mutex
	free   int
	spare  int // places that builds which no run waits for leave free
	queues [ratelimit.Priorities]*fair.Queue[*ticket]
}

// ticket is a request for a place, then the place. Its holder waits for ready,
// and must call leave in either case.
type ticket struct {
	ready chan struct{} // closed when the place is granted

	// Guarded by places.mu.
	tenant  string
	p       Priority
	entry   *fair.Entry[*ticket]
	granted time.Time // zero while it waits
}

// advance is charged to the tenant when a place is granted, in seconds, and
// subtracted from the charge at leave. Without it one tenant could get all
// places before its first build has ended and been charged.
const advance = 1.0

func newPlaces(n int, waiting prometheus.Gauge) *places {
	q := &places{free: n, waiting: waiting}
	if n > 1 {
		q.spare = 1
	}
	for p := range q.queues {
		q.queues[p] = fair.New[*ticket]()
	}
	return q
}

func (q *places) ask(tenant string, p Priority) *ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := &ticket{ready: make(chan struct{}), tenant: tenant, p: p}
	t.entry = q.queues[p].Push(tenant, 1, t)
	q.waiting.Inc()
	q.grant()
	return t
}

// promote moves a waiting ticket to the queue of an earlier priority.
func (q *places) promote(t *ticket, p Priority) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p < t.p && q.queues[t.p].Remove(t.entry) {
		t.p = p
		t.entry = q.queues[p].Push(t.tenant, 1, t)
		q.grant()
	}
}

// leave gives the place back and charges its tenant for the time it was held,
// or takes the ticket out of its queue if the place was not granted yet.
func (q *places) leave(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.granted.IsZero() {
		if q.queues[t.p].Remove(t.entry) {
			q.waiting.Dec()
		}
		return
	}
	q.queues[t.p].Charge(t.tenant, time.Since(t.granted).Seconds()-advance)
	q.free++
	q.grant()
}

func (q *places) grant() {
	for q.free > 0 {
		t, ok := q.next()
		if !ok {
			return
		}
		q.queues[t.p].Charge(t.tenant, advance)
		q.free--
		q.waiting.Dec()
		t.granted = time.Now()
		close(t.ready)
	}
}

// next is the ticket that gets the next place, if there is one.
func (q *places) next() (*ticket, bool) {
	for p, queue := range q.queues {
		if Priority(p) != ForRun && q.free <= q.spare {
			break
		}
		if t, ok := queue.Next(); ok {
			return t, true
		}
	}
	return nil, false
}
