package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/board"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/toptenants"
)

// TestDashboardsAndAlertsShowWhatRealProcessesDo takes its steps in order, on one
// site. A step may rely on what the steps before it have done.
func TestDashboardsAndAlertsShowWhatRealProcessesDo(t *testing.T) {
	s := startSite(t)
	defer s.observe(t)
	type step struct {
		name string
		take func(*site, *testing.T)
	}
	steps := []step{
		{"every query has data under a replay", (*site).everyQueryHasData},
		{"every label is bounded", (*site).everyLabelIsBounded},
		{"a run leads to its trace", (*site).aRunLeadsToItsTrace},
		{"a fleet that is well raises no alert", (*site).noAlertWhileWell},
		{"throttling and a killed worker are shown, and no run is lost", (*site).faultsAreShown},
	}
	if *observeIn == "" { // the pages show the story up to here
		steps = append(steps, step{"alerts fire on their faults and end after them", (*site).alertsFireAndEnd})
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) { step.take(s, t) }) {
			return
		}
	}
}

// everyQueryHasData replays a batch with faults of authors. Each query must show
// a value that its unit allows.
func (s *site) everyQueryHasData(t *testing.T) {
	if *observeIn != "" { // else the first seconds show what an idle fleet costs a run
		if err := <-s.fleet.replay(t, warmUp(t)); err != nil {
			t.Fatalf("warm-up: %v", err)
		}
	}
	s.began = time.Now()
	replayed := s.fleet.replay(t, newBatch(t, storyLength(), 20))
	wait.Until(t, within, "no run has failed without a build", func() bool {
		return s.prometheus.hasData(t, `scriptfleet_worker_builds_total{outcome="remembered_failure"} > 0`)
	})
	for _, q := range queries(t) {
		var points []board.Point // since the replay has begun: a rate is gone soon after it
		wait.Until(t, within, fmt.Sprintf("%s: %s has no data", q.panel, q.expr), func() bool {
			for _, series := range s.prometheus.matrix(t, substitute(q.expr), s.began, time.Now()) {
				points = append(points, series.points...)
			}
			return len(points) > 0
		})
		for _, p := range points {
			if least, most := plausible(q.unit); p.Value < least || p.Value > most {
				t.Errorf("%s: %s shows %g, which cannot be in %s", q.panel, q.expr, p.Value, q.unit)
				break
			}
		}
	}
	for _, r := range rules(t, "recording.yml") {
		wait.Until(t, within, r.Record+" has no data", func() bool { return s.prometheus.hasData(t, r.Record) })
	}
	for _, happened := range []string{
		`sum(scriptfleet_build_coalesced_total)`, `sum(scriptfleet_build_saved_seconds_total)`, `sum(scriptfleet_build_layers_total{layer="shared"})`,
		`sum(scriptfleet_worker_billed_gb_seconds_total)`, `sum(scriptfleet_sqs_billed_requests_total)`, `sum(scriptfleet_redis_round_trips_total)`,
		`sum(scriptfleet_worker_cold_starts_total)`, `max(scriptfleet_build_failures_remembered)`,
		`sum(scriptfleet_worker_tenant_results_total{tenant="` + toptenants.Other + `"})`, `sum(scriptfleet_worker_tenant_used_seconds_total{tenant="flood"})`,
	} {
		wait.Until(t, within, happened+" stays zero", func() bool { return s.prometheus.hasData(t, happened+" > 0") })
	}
	if err := <-replayed; err != nil {
		t.Errorf("replay: %v", err)
	}
	known := s.prometheus.names(t)
	for _, name := range metricsOf(t) {
		if !slices.Contains(known, name) {
			t.Errorf("%s is in a query or a rule, and no process shows it", name)
		}
	}
}

// plausible are the least and the most that a unit allows in a test of minutes.
func plausible(unit string) (least, most float64) {
	switch unit {
	case "percentunit":
		return 0, 1
	case "s":
		return 0, 3600
	case "bytes":
		return 1 << 20, 1 << 34
	case "reqps", "ops":
		return 0, 10_000
	case "currencyUSD":
		return 0, 100_000
	}
	return 0, 1e6
}

// everyLabelIsBounded looks at all series that processes show now.
func (s *site) everyLabelIsBounded(t *testing.T) {
	values := map[string]map[string]bool{} // by process, metric and label
	for _, series := range s.prometheus.values(t, `{__name__=~"scriptfleet_.+"}`) {
		metric, process := series.labels["__name__"], series.labels["instance"]
		for label, value := range series.labels {
			key := process + " " + metric + " " + label
			if values[key] == nil {
				values[key] = map[string]bool{}
			}
			values[key][value] = true
			if _, known := bounds[label]; !known {
				t.Errorf("%s has the label %s: say in bounds_test.go what bounds its values", metric, label)
			}
		}
	}
	for key, of := range values {
		label := key[strings.LastIndex(key, " ")+1:]
		if len(of) > bounds[label] {
			t.Errorf("%s has %d values, above %d: %v", key, len(of), bounds[label], of)
		}
	}
}

func (s *site) aRunLeadsToItsTrace(t *testing.T) {
	wait.Until(t, within, "no exemplar of a run's total time", func() bool {
		for _, id := range s.prometheus.exemplars(t, "scriptfleet_worker_run_seconds_bucket") {
			if strings.HasPrefix(id, "00000000000000000000000000abc") {
				return true
			}
		}
		return false
	})
}

func (s *site) noAlertWhileWell(t *testing.T) {
	for _, alert := range s.prometheus.alerts(t) {
		if !strings.HasPrefix(alert, "ScriptfleetSlowQueue") && !strings.HasPrefix(alert, "ScriptfleetQuietStart") { // they tell how fast the machine is
			t.Errorf("it raises %s", alert)
		}
	}
}

// faultsAreShown has Lambda throttle for a while, and then kills a worker with
// runs in hand. Each run gets its result all the same.
func (s *site) faultsAreShown(t *testing.T) {
	second := s.fleet.second
	replayed := s.fleet.replay(t, newBatch(t, 10*time.Second, 20))
	s.fleet.throttle.on.Store(true)
	wait.Until(t, within, "Lambda throttles, and nothing shows it", func() bool {
		return s.prometheus.hasData(t, `sum(rate(scriptfleet_worker_throttles_total{reason="ConcurrentInvocationLimitExceeded"}[5s])) > 0`)
	})
	s.fleet.throttle.on.Store(false)
	wait.Until(t, within, "the second worker has nothing in hand", func() bool {
		return s.prometheus.hasData(t, fmt.Sprintf("scriptfleet_worker_active{instance=%q} > 0", second.Admin()))
	})
	second.Kill()
	if err := <-replayed; err != nil {
		t.Errorf("replay over a kill: %v", err)
	}
	lost := "ScriptfleetProcessLost: scriptfleet-worker " + second.Admin() + " is lost"
	wait.Until(t, within, "no alert tells of the worker that was killed", func() bool {
		return slices.Contains(s.prometheus.alerts(t), lost)
	})
	for _, alert := range s.prometheus.alerts(t) {
		if strings.HasPrefix(alert, "ScriptfleetBooks") || strings.HasPrefix(alert, "ScriptfleetNoWorker") {
			t.Errorf("a worker that was killed raises %s", alert)
		}
	}
}

var metric = regexp.MustCompile(`\bscriptfleet[_:][a-z0-9_:]+`)

// metricsOf lists the metrics that queries and rules name.
func metricsOf(t *testing.T) (names []string) {
	t.Helper()
	exprs := []string{}
	for _, q := range queries(t) {
		exprs = append(exprs, q.expr)
	}
	for _, r := range rules(t, "recording.yml", "alerts.yml") {
		exprs = append(exprs, r.Expr)
	}
	for _, expr := range exprs {
		names = append(names, metric.FindAllString(expr, -1)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
