package builds

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The values of the label step.
const (
	stepEnv    = "env"
	stepScript = "script"
	stepRunner = "runner" // the function of an env runner
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
	calls     *prometheus.CounterVec // by op
	tokenWait prometheus.Histogram
	layers    *prometheus.CounterVec // by how the script got its layer
	coalesced prometheus.Counter
	saved     prometheus.Counter // seconds
	waiting   prometheus.Gauge
	queue     prometheus.Gauge
	panics    prometheus.Counter
}

// The values of the label layer.
const (
	layerShared = "shared" // another script's build has made it, or makes it
	layerBuilt  = "built"  // for this script
)

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
		calls:     counter("calls_total", "Calls of the control plane, repeated ones included.", "op"),
		tokenWait: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "scriptfleet_build_token_wait_seconds",
			Help:    "Time that calls of the control plane waited for a token of the fleet's budget.",
			Buckets: []float64{.001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		layers: counter("layers_total", "Layers of scripts that were built, by whether the layer was built for it or shared.", "layer"),
		coalesced: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_build_coalesced_total", Help: "Runs that waited for a build that was under way, here or on another worker, and made none.",
		}),
		saved: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_build_saved_seconds_total", Help: "Seconds of builds that coalesced runs did not make: the duration of the build, for each of them.",
		}),
		waiting: gauge("waiting", "Callers that wait for a build."),
		queue:   gauge("queue", "Builds that wait for a place in this worker."),
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
	for _, step := range []string{stepEnv, stepScript, stepRunner} {
		m.started.WithLabelValues(step)
		m.duration.WithLabelValues(step)
		m.found.WithLabelValues(step)
		for _, how := range []string{endedBuilt, endedFailed, endedLost, endedClosed} {
			m.finished.WithLabelValues(step, how)
		}
	}
	for _, op := range []string{"FindLayer", "PublishLayer", "Create", "Await", "Delete"} {
		m.throttled.WithLabelValues(op)
		m.calls.WithLabelValues(op)
	}
	for _, layer := range []string{layerShared, layerBuilt} {
		m.layers.WithLabelValues(layer)
	}
}

// answered counts what a caller was spared.
func (m metrics) answered(out outcome) {
	if out.how == run.BuildWaited {
		m.coalesced.Inc()
		m.saved.Add(out.record.Took.Seconds())
	}
}

// used counts how a script that is built got its layer.
func (m metrics) used(how run.BuildOutcome) {
	if how == run.BuildBuilt {
		m.layers.WithLabelValues(layerBuilt).Inc()
	} else {
		m.layers.WithLabelValues(layerShared).Inc()
	}
}

// remembers shows how many failures a worker remembers.
func (m metrics) remembers(reg prometheus.Registerer, failed *memory[run.ScriptHash, Record]) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "scriptfleet_build_failures_remembered", Help: "Scripts whose failed build this worker remembers: their runs fail without a build.",
	}, func() float64 { return float64(failed.count(Record.remembered)) })
}
