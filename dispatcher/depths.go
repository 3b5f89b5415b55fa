package dispatcher

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// depths looks at the fleet's queues again and again: the router wants to know
// which partition is emptier, operators want to see all of them, and the books
// are compared with them.
type depths struct {
	watched []watched
	books   *books
	gauge   *prometheus.GaugeVec
	guard   panics.Guard
}

// Labels of the queues that are not partitions.
const (
	labelRequests     = "requests"
	labelSide         = "side"
	labelResults      = "results"
	labelRequestsDLQ  = "requests-dlq"
	labelPartitionDLQ = "partition-dlq"
)

// watched is a queue, its label, and who else wants to know.
type watched struct {
	label string
	queue queue.Queue
	tell  func(queue.Depth)
}

func newDepths(b *books, reg prometheus.Registerer, guard panics.Guard) *depths {
	return &depths{books: b, guard: guard, gauge: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "scriptfleet_queue_depth",
		Help: "Messages on each queue, by state, as the dispatcher last saw them.",
	}, []string{"queue", "state"})}
}

// add watches a queue, if there is one.
func (d *depths) add(label string, q queue.Queue, tell func(queue.Depth)) {
	if q != nil {
		d.watched = append(d.watched, watched{label, q, tell})
	}
}

// run looks every so often until ctx ends.
func (d *depths) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		d.pass(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// pass looks at all queues at once, between two reads of the books.
func (d *depths) pass(ctx context.Context) {
	before := d.books.read(ctx)
	seen := make([]*queue.Depth, len(d.watched))
	var wg sync.WaitGroup
	for i, w := range d.watched {
		wg.Go(func() { d.guard.Catch(func() { seen[i] = d.look(ctx, w) }, nil) })
	}
	wg.Wait()
	held := new(int)
	for i, depth := range seen {
		if depth == nil {
			held = nil
			break
		}
		*held += holds(d.watched[i].label, *depth)
	}
	d.books.show(before, d.books.read(ctx), held)
}

// look is nil for a queue that can't be looked at; its gauge keeps what was last
// seen.
func (d *depths) look(ctx context.Context, w watched) *queue.Depth {
	depth, err := w.queue.Depth(ctx)
	if err != nil {
		return nil
	}
	d.gauge.WithLabelValues(w.label, "visible").Set(float64(depth.Visible))
	d.gauge.WithLabelValues(w.label, "in_flight").Set(float64(depth.InFlight))
	d.gauge.WithLabelValues(w.label, "delayed").Set(float64(depth.Delayed))
	if w.tell != nil {
		w.tell(depth)
	}
	return &depth
}
