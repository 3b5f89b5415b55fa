package worker

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type metrics struct {
	received prometheus.Counter
	crowded  prometheus.Counter
	invoked  prometheus.Counter
	refused  *prometheus.CounterVec
	untaken  *prometheus.CounterVec
	verdicts *prometheus.CounterVec
	results  *prometheus.CounterVec
	stages   *prometheus.HistogramVec
	total    prometheus.Histogram
	builds   *prometheus.CounterVec // by outcome
	start    *prometheus.HistogramVec
	delivery *prometheus.HistogramVec
	cold     prometheus.Counter
	billed   *prometheus.CounterVec // GB-seconds, by architecture
	throttle *prometheus.CounterVec // by reason
	extended prometheus.Counter
	panics   prometheus.Counter
	tenants  *tenantMetrics
}

// The values of the label outcome of runs that ended before a build was needed,
// and of the label reason of a throttle with a reason that is not known here.
const (
	buildNone   = "none"
	reasonOther = "other"
)

// throttles are the reasons that Lambda gives for a 429.
var throttles = []string{
	"CallerRateLimitExceeded", "ConcurrentInvocationLimitExceeded", "ConcurrentSnapshotCreateLimitExceeded", "FunctionInvocationRateLimitExceeded",
	"ReservedFunctionConcurrentInvocationLimitExceeded", "ReservedFunctionInvocationRateLimitExceeded",
}

// The bounds of the objectives in dashboards/recording.yml are among these
// buckets.
var (
	startBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	deliveryBuckets = []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
)

func newMetrics(reg prometheus.Registerer, w *Worker) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "scriptfleet_worker_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "scriptfleet_worker_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, read func() int) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "scriptfleet_worker_" + name, Help: help}, func() float64 { return float64(read()) })
	}
	gauge("active", "Deliveries in hand that are not parked.", func() int { n, _ := w.inflight.counts(); return n })
	gauge("parked", "Deliveries in hand that wait for a build.", func() int { _, n := w.inflight.counts(); return n })
	gauge("parked_limit", "Deliveries that may wait for a build; those above are put back.", func() int { return w.cfg.MaxParked })
	gauge("turns", "Runs that may execute at a time, as throttling allows now.", func() int { n, _, _ := w.turns.counts(); return n })
	gauge("turns_in_use", "Runs that execute.", func() int { _, n, _ := w.turns.counts(); return n })
	gauge("turns_waiting", "Runs that wait for a turn.", func() int { _, _, n := w.turns.counts(); return n })

	buckets := prometheus.ExponentialBuckets(0.001, 2.5, 14)
	m := &metrics{
		received: counter("received_total", "Deliveries received from the partitions."),
		crowded:  counter("crowded_total", "Deliveries that were put back unread, as their tenant had its share of the worker in hand."),
		invoked:  counter("invocations_started_total", "Invocations that were begun."),
		refused:  vec("invocations_refused_total", "Invocations that reached no function, by class of error.", "class"),
		untaken:  vec("runner_refusals_total", "Runs that an env runner did not execute, by class of error; they wait for their script's function.", "class"),
		verdicts: vec("settled_total", "Deliveries that were settled, by verdict.", "verdict"),
		results:  vec("results_total", "Results published, by status.", "status"),
		builds:   vec("builds_total", "Answered runs, by how they got their function.", "outcome"),
		billed:   vec("billed_gb_seconds_total", "What Lambda bills for executions: their seconds times their functions' memory.", "architecture"),
		throttle: vec("throttles_total", "Invocations that Lambda answered with 429, by its reason.", "reason"),
		tenants:  newTenantMetrics(reg, w.inflight),
		cold:     counter("cold_starts_total", "Runs that met a cold start."),
		extended: counter("extended_total", "Deliveries whose visibility was extended."),
		panics:   counter("panics_total", "Panics that were caught: each has failed one run, or had a loop begin again."),
		stages: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scriptfleet_worker_stage_seconds", Help: "Time of answered runs in each stage.", Buckets: buckets,
		}, []string{"stage"}),
		total: f.NewHistogram(prometheus.HistogramOpts{
			Name: "scriptfleet_worker_run_seconds", Help: "From a request's arrival to its result.", Buckets: buckets,
		}),
		start: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scriptfleet_worker_start_delay_seconds", Buckets: startBuckets,
			Help: "From a request's arrival to the first start of its script, without builds, by the load of its tenant when it was sent. A run that expires before its start counts with its age.",
		}, []string{"load"}),
		delivery: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scriptfleet_worker_delivery_seconds", Buckets: deliveryBuckets,
			Help: "From a request's arrival until its result is on the results queue, without the time in which its script executed, by the load of its tenant when it was sent.",
		}, []string{"load"}),
	}
	for stage := range stages(run.Timings{}) {
		m.stages.WithLabelValues(stage) // a rate misses the first value of a series that begins with it
	}
	for _, l := range []run.Load{run.Quiet, run.Busy} {
		m.start.WithLabelValues(string(l))
		m.delivery.WithLabelValues(string(l))
	}
	for _, s := range run.Statuses {
		m.results.WithLabelValues(string(s))
	}
	for _, c := range []function.Class{function.Throttled, function.NotReady, function.NotFound, function.Denied, function.BadSignature, function.Unsent, function.Ambiguous} {
		m.refused.WithLabelValues(string(c))
	}
	for _, o := range run.BuildOutcomes {
		m.builds.WithLabelValues(string(o))
	}
	m.builds.WithLabelValues(buildNone)
	for _, r := range throttles {
		m.throttle.WithLabelValues(r)
	}
	m.throttle.WithLabelValues(reasonOther)
	for _, arch := range []string{"x86_64", "arm64"} {
		m.billed.WithLabelValues(arch)
	}
	for _, c := range untakenClasses {
		m.untaken.WithLabelValues(string(c))
	}
	for _, k := range []kind{answered, remove, putBack, bury, leave} {
		m.verdicts.WithLabelValues(string(k))
	}
	return m
}

// refuse counts an invocation that reached no function.
func (m *metrics) refuse(err error) {
	class := classOf(err)
	m.refused.WithLabelValues(string(class)).Inc()
	if class != function.Throttled {
		return
	}
	reason := reasonOther
	if e := (*function.Error)(nil); errors.As(err, &e) {
		if _, said, _ := strings.Cut(e.Reason, "/"); slices.Contains(throttles, said) {
			reason = said
		}
	}
	m.throttle.WithLabelValues(reason).Inc()
}

// bill counts what Lambda bills for an execution.
func (m *metrics) bill(billed time.Duration, s run.Script) {
	m.billed.WithLabelValues(s.Arch).Add(billed.Seconds() * float64(s.MemoryMB) / 1024)
}

// stages are the times of a run by the label stage, in ms.
func stages(t run.Timings) map[string]int64 {
	return map[string]int64{
		"intake": t.Intake, "queue": t.Queue, "build_wait": t.BuildWait, "build": t.Build,
		"init": t.Init, "execute": t.Execute, "publish": t.Publish,
	}
}

func (m *metrics) result(status run.Status) { m.results.WithLabelValues(string(status)).Inc() }

// started records how long a run waited, once its function has answered: an
// invocation that was throttled was no start, and a later attempt is none.
func (m *metrics) started(h *held) {
	if h.attempts > 1 {
		return
	}
	t := h.timeline.Timings()
	m.start.WithLabelValues(string(h.load())).Observe(float64(t.Intake+t.Queue) / 1000)
}

// published records that a run's result is on the results queue.
func (m *metrics) published(h *held, now time.Time) {
	executed := time.Duration(h.timeline.Timings().Execute) * time.Millisecond
	m.delivery.WithLabelValues(string(h.load())).Observe(max(0, h.timeline.Since(now)-executed).Seconds())
}

func (m *metrics) settled(h *held, v verdict) {
	m.verdicts.WithLabelValues(string(v.kind)).Inc()
	if v.kind != answered {
		return
	}
	t := h.timeline.Timings()
	observe(h, m.total, t.Total)
	m.builds.WithLabelValues(cmp.Or(string(h.built.Outcome), buildNone)).Inc()
	m.tenants.answered(h.run.Tenant, v.outcome.Status, t)
	if v.outcome.Status == run.Expired && h.attempts == 0 {
		m.start.WithLabelValues(string(h.load())).Observe(float64(t.Total) / 1000)
	}
	for stage, ms := range stages(t) {
		observe(h, m.stages.WithLabelValues(stage), ms)
	}
	if v.outcome.Report.Init > 0 {
		m.cold.Inc()
	}
}

// observe observes a time in ms. If the run's trace is recorded, by this process
// or by the sender, it leads there as an exemplar.
func observe(h *held, o prometheus.Observer, ms int64) {
	seconds := float64(ms) / 1000
	if with, ok := o.(prometheus.ExemplarObserver); ok && (h.trace != nil || h.place.Recorded()) {
		with.ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": h.place.ID()})
		return
	}
	o.Observe(seconds)
}
