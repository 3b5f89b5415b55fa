package dispatcher

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// outcome is what a delivery of a request became.
type outcome string

const (
	outcomeForwarded outcome = "forwarded" // to a partition
	outcomeDuplicate outcome = "duplicate" // its run's result is already known
	outcomeRejected  outcome = "rejected"  // answered with a result
	outcomeCancelled outcome = "cancelled" // an answered cancellation
	outcomeFailed    outcome = "failed"    // answered as platform_error: our own code panicked
	outcomeBuried    outcome = "buried"    // on the dead-letter queue
	outcomeMoved     outcome = "moved"     // to its tenant's cell
	outcomePutBack   outcome = "put_back"  // something was out of reach
)

type metrics struct {
	received prometheus.Counter
	outcomes map[outcome]prometheus.Counter
	sent     *prometheus.CounterVec // by partition
	intake   prometheus.Histogram
	panics   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	outcomes := f.NewCounterVec(prometheus.CounterOpts{
		Name: "scriptfleet_dispatcher_handled_total",
		Help: "Deliveries of requests that were handled, by what became of them.",
	}, []string{"outcome"})
	m := &metrics{
		sent: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scriptfleet_dispatcher_sent_total",
			Help: "Runs sent to each partition.",
		}, []string{"partition"}),
		received: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_dispatcher_received_total",
			Help: "Deliveries received from the requests queue.",
		}),
		intake: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "scriptfleet_dispatcher_intake_seconds",
			Help:    "From a request's arrival on its queue to its next queue.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_dispatcher_panics_total",
			Help: "Panics that were caught: each has failed one request, or had a loop begin again.",
		}),
		outcomes: map[outcome]prometheus.Counter{},
	}
	for _, o := range []outcome{outcomeForwarded, outcomeDuplicate, outcomeRejected, outcomeCancelled, outcomeFailed, outcomeBuried, outcomeMoved, outcomePutBack} {
		m.outcomes[o] = outcomes.WithLabelValues(string(o))
	}
	return m
}

func (m *metrics) handled(o outcome, since time.Time) {
	m.outcomes[o].Inc()
	m.intake.Observe(time.Since(since).Seconds())
}
