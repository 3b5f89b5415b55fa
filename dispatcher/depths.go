package dispatcher

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// depths reads the depths of the fleet's queues at an interval: for the router,
// which sends to the emptier partition, for the metrics, and for the books.
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

// watched is a queue, its label, and a function that gets its depth.
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

// add adds a queue, unless it is nil.
func (d *depths) add(label string, q queue.Queue, tell func(queue.Depth)) {
	if q != nil {
		d.watched = append(d.watched, watched{label, q, tell})
	}
}

// seldomEvery is how many intervals pass between two reads at most, while nothing
// changes: each read is a request for each queue.
const seldomEvery = 8

// run reads all depths at the interval until ctx ends. While they stay the same
// the interval doubles, up to seldomEvery times.
func (d *depths) run(ctx context.Context, every time.Duration) {
	interval := every
	var before []queue.Depth
	for {
		seen := d.pass(ctx)
		interval = min(2*interval, seldomEvery*every)
		if seen == nil || !slices.Equal(seen, before) {
			interval = every
		}
		before = seen
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// pass reads all queues concurrently, between two reads of the books. It returns
// their depths, or nil if one of them cannot be read.
func (d *depths) pass(ctx context.Context) (all []queue.Depth) {
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
			all, held = nil, nil
			break
		}
		all = append(all, *depth)
		*held += holds(d.watched[i].label, *depth)
	}
	d.books.show(before, d.books.read(ctx), held)
	return all
}

// look returns nil for a queue that cannot be read; its gauge keeps the last
// value.
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
