package builds

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/pkg/fair"
)

// places bounds how many builds this worker makes at a time. The order of the
// waiting builds is: first those that a run waits for, then those made ahead;
// within each, the build of the tenant that has used the fewest place-seconds.
// So a tenant with a thousand new scripts does not delay another tenant's only
// one. Builds made ahead leave one place free, unless there is only one.
type places struct {
	waiting prometheus.Gauge

	mu     sync.Mutex
	free   int
	spare  int                     // places that builds made ahead leave free
	queues [2]*fair.Queue[*ticket] // by Priority
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

// promote moves a waiting ticket from the queue of builds made ahead to the
// queue of builds that a run waits for.
func (q *places) promote(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.p == Ahead && q.queues[Ahead].Remove(t.entry) {
		t.p = ForRun
		t.entry = q.queues[ForRun].Push(t.tenant, 1, t)
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
