package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// TestDashboardsAndAlertsShowWhatRealProcessesDo takes its steps in order, on one
// site. A step may rely on what the steps before it have done.
func TestDashboardsAndAlertsShowWhatRealProcessesDo(t *testing.T) {
	s := startSite(t)
	for _, step := range []struct {
		name string
		take func(*site, *testing.T)
	}{
		{"every query has data under a replay", (*site).everyQueryHasData},
		{"a fleet that is well raises no alert", (*site).noAlertWhileWell},
		{"a worker that is killed is reported, and no run is", (*site).alertOfAKilledWorker},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.take(s, t) }) {
			return
		}
	}
}

func (s *site) everyQueryHasData(t *testing.T) {
	replayed := s.fleet.replay(t, 200, 20)
	for _, q := range queries(t) {
		wait.Until(t, within, fmt.Sprintf("%s: %s has no data", q.panel, q.expr), func() bool {
			return s.prometheus.hasData(t, substitute(q.expr))
		})
	}
	for _, r := range rules(t, "recording.yml") {
		wait.Until(t, within, r.Record+" has no data", func() bool { return s.prometheus.hasData(t, r.Record) })
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

func (s *site) noAlertWhileWell(t *testing.T) {
	for _, alert := range s.prometheus.alerts(t) {
		t.Errorf("it raises %s", alert)
	}
}

// alertOfAKilledWorker kills a worker with runs in hand, and the other goes on.
func (s *site) alertOfAKilledWorker(t *testing.T) {
	second := s.fleet.second
	replayed := s.fleet.replay(t, 200, 20)
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
