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
// which partition is emptier, and operators want to see all of them.
type depths struct {
	watched []watched
	gauge   *prometheus.GaugeVec
	guard   panics.Guard
}

// watched is a queue, its label, and who else wants to know.
type watched struct {
	label string
	queue queue.Queue
	tell  func(queue.Depth)
}

func newDepths(reg prometheus.Registerer, guard panics.Guard) *depths {
	return &depths{guard: guard, gauge: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
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

// run looks at all queues at once, every so often until ctx ends. A queue that
// can't be looked at keeps what was last seen.
func (d *depths) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var wg sync.WaitGroup
		for _, w := range d.watched {
			wg.Go(func() { d.guard.Catch(func() { d.look(ctx, w) }, nil) })
		}
		wg.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (d *depths) look(ctx context.Context, w watched) {
	depth, err := w.queue.Depth(ctx)
	if err != nil {
		return
	}
	d.gauge.WithLabelValues(w.label, "visible").Set(float64(depth.Visible))
	d.gauge.WithLabelValues(w.label, "in_flight").Set(float64(depth.InFlight))
	d.gauge.WithLabelValues(w.label, "delayed").Set(float64(depth.Delayed))
	if w.tell != nil {
		w.tell(depth)
	}
}
