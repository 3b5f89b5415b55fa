package builds

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The values of the label step.
const (
	stepEnv    = "env"
	stepScript = "script"
)

// The values of the label outcome of builds that were started.
const (
	endedBuilt  = "built"
	endedFailed = "failed"
	endedLost   = "lost"   // this worker lost the lease; another takes the build over
	endedClosed = "closed" // this worker stops; another takes the build over
)

type metrics struct {
	started   *prometheus.CounterVec // by step
	finished  *prometheus.CounterVec // by step and outcome
	duration  *prometheus.HistogramVec
	found     *prometheus.CounterVec // existed at Lambda without a record
	throttled *prometheus.CounterVec // by op
	waiting   prometheus.Gauge
	queue     prometheus.Gauge
	panics    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "scriptfleet_build_" + name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "scriptfleet_build_" + name, Help: help})
	}
	m := metrics{
		started:  counter("started_total", "Builds that this worker began.", "step"),
		finished: counter("finished_total", "Builds that this worker began and that ended.", "step", "outcome"),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "scriptfleet_build_duration_seconds",
			Help:    "Time from the beginning of a build to its end; a script's build includes its env's.",
			Buckets: prometheus.ExponentialBuckets(0.05, 2, 14),
		}, []string{"step"}),
		found:     counter("found_total", "Layers and functions that had no record and that Lambda had already.", "step"),
		throttled: counter("throttled_total", "Calls of the control plane that Lambda answered with 429.", "op"),
		waiting:   gauge("waiting", "Callers that wait for a build."),
		queue:     gauge("queue", "Builds that wait for a place in this worker."),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_build_panics_total", Help: "Panics, each of which failed one build.",
		}),
	}
	m.show()
	return m
}

// show creates every series with the value 0. Prometheus' rate misses the first
// increase of a series that first appears with it.
func (m metrics) show() {
	for _, step := range []string{stepEnv, stepScript} {
		m.started.WithLabelValues(step)
		m.duration.WithLabelValues(step)
		m.found.WithLabelValues(step)
		for _, how := range []string{endedBuilt, endedFailed, endedLost, endedClosed} {
			m.finished.WithLabelValues(step, how)
		}
	}
	for _, op := range []string{"FindLayer", "PublishLayer", "Create", "Await", "Delete"} {
		m.throttled.WithLabelValues(op)
	}
}
