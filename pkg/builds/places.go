package builds

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/pkg/fair"
)

// places are where this worker builds: so many at a time. Those whom a run
// waits for go first; among equals the tenant goes first that has built for the
// fewest seconds, so that one with a thousand new scripts does not keep another's
// only one waiting. Builds made ahead leave one place free, where there is more
// than one.
type places struct {
	waiting prometheus.Gauge

	mu     sync.Mutex
	free   int
	spare  int // places that builds ahead leave free
	queues [2]*fair.Queue[*ticket]
}

// ticket is a place asked for. Its holder may wait for ready, and must leave.
type ticket struct {
	ready chan struct{} // closed when the place is granted

	// Guarded by places.mu.
	tenant  string
	p       Priority
	entry   *fair.Entry[*ticket]
	granted time.Time // zero while it waits
}

// advance is what a grant is charged with before it is known what it takes, so
// that one tenant does not get all places while none of its builds has ended.
const advance = 1.0 // seconds

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

// promote lets a ticket go with those whom a run waits for.
func (q *places) promote(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.p == Ahead && q.queues[Ahead].Remove(t.entry) {
		t.p = ForRun
		t.entry = q.queues[ForRun].Push(t.tenant, 1, t)
		q.grant()
	}
}

// leave gives a place back, or the wait for it up.
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
		t, ok := q.queues[ForRun].Next()
		if !ok && q.free > q.spare {
			t, ok = q.queues[Ahead].Next()
		}
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
