package worker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/toptenants"
)

// tenantMetrics are the metrics of single tenants: of those that use most in
// this worker, and of all others together. See [toptenants].
type tenantMetrics struct {
	top     *toptenants.Table
	results *prometheus.CounterVec // by tenant and status
	used    *prometheus.CounterVec
	waited  *prometheus.CounterVec

	inflight *inflight
	inHand   *prometheus.Desc // by tenant and state
}

// aRun is the least use that a run counts for, in seconds.
const aRun = 0.01

func newTenantMetrics(reg prometheus.Registerer, in *inflight) *tenantMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "scriptfleet_worker_tenant_" + name, Help: help}, append([]string{"tenant"}, labels...))
	}
	m := &tenantMetrics{
		results:  counter("results_total", "Results published, by tenant and status. The tenants that use most have a name, all others are _other.", "status"),
		used:     counter("used_seconds_total", "Seconds that answered runs used: builds that they led, cold starts and execution."),
		waited:   counter("wait_seconds_total", "Seconds from the arrival of answered runs until their scripts began."),
		inflight: in,
		inHand:   prometheus.NewDesc("scriptfleet_worker_tenant_runs", "Deliveries in hand, by tenant and state: running, waiting, parked.", []string{"tenant", "state"}, nil),
	}
	m.top = toptenants.New(func(label string) {
		for _, v := range []*prometheus.CounterVec{m.results, m.used, m.waited} {
			v.DeletePartialMatch(prometheus.Labels{"tenant": label})
		}
	})
	for _, s := range run.Statuses {
		m.results.WithLabelValues(toptenants.Other, string(s))
	}
	m.used.WithLabelValues(toptenants.Other)
	m.waited.WithLabelValues(toptenants.Other)
	reg.MustRegister(m)
	return m
}

// answered counts an answered run.
func (m *tenantMetrics) answered(tenant string, status run.Status, t run.Timings) {
	used := float64(t.Build+t.Init+t.Execute) / 1000
	m.top.Count(tenant, used+aRun, func(label string) {
		m.results.WithLabelValues(label, string(status)).Inc()
		m.used.WithLabelValues(label).Add(used)
		m.waited.WithLabelValues(label).Add(float64(t.Intake+t.Queue+t.BuildWait+t.Build) / 1000)
	})
}

// Describe and Collect make it the collector of what tenants have in hand, which
// is counted when it is asked for.
func (m *tenantMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.inHand }

func (m *tenantMetrics) Collect(to chan<- prometheus.Metric) {
	states := m.inflight.byTenant()
	for tenant := range states["running"] { // a tenant at work gets a place before its first run ends
		m.top.Count(tenant, aRun, func(string) {})
	}
	for state, tenants := range states {
		for label, n := range m.top.Sum(tenants) {
			to <- prometheus.MustNewConstMetric(m.inHand, prometheus.GaugeValue, n, label, state)
		}
	}
}

// byTenant are the deliveries in hand by state and tenant.
func (in *inflight) byTenant() map[string]map[string]float64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	running, waiting, parked := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for tenant, s := range in.shares {
		running[tenant] = float64(s.running)
		waiting[tenant] = float64(max(0, s.active-s.running) + s.kept)
		parked[tenant] = float64(s.parked)
	}
	return map[string]map[string]float64{"running": running, "waiting": waiting, "parked": parked}
}
