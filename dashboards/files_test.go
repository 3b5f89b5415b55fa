package dashboards

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

func TestPrometheusAcceptsConfigurationAndRules(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "check", "rules", "recording.yml", "alerts.yml")
}

func TestAlertsFireAtWhatTheyAreForAndAtNothingElse(t *testing.T) {
	promtool(t, "test", "rules", "alerts_test.yml")
}

func TestEveryAlertIsTestedAndHasASectionInTheRunbook(t *testing.T) {
	tests, runbook := files.Read(t, "alerts_test.yml"), files.Read(t, "../deploy/README.md")
	for _, r := range rules(t, "alerts.yml") {
		if !strings.Contains(tests, "alertname: "+r.Alert+"\n") {
			t.Errorf("%s is not tested in alerts_test.yml", r.Alert)
		}
		if !regexp.MustCompile(`(?m)^#+ ` + r.Alert + `$`).MatchString(runbook) {
			t.Errorf("%s has no section in deploy/README.md", r.Alert)
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "#"+strings.ToLower(r.Alert)) {
			t.Errorf("%s leads to %q", r.Alert, r.Annotations["runbook_url"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", r.Alert)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
	}
}

func TestEveryQueryOfTheDashboardParses(t *testing.T) {
	var b strings.Builder
	b.WriteString("groups:\n- name: panels\n  rules:\n")
	for i, q := range queries(t) {
		fmt.Fprintf(&b, "  - {record: 'panel:query_%d', expr: %q}\n", i, substitute(q.expr))
	}
	promtool(t, "check", "rules", files.Write(t, "panels.yml", b.String()))
}

func TestPanelsOfTheDashboardAreDescribedDistinctAndInPlace(t *testing.T) {
	d := load(t)
	if d.UID == "" || d.SchemaVersion < 41 {
		t.Errorf("uid %q, schema version %d", d.UID, d.SchemaVersion)
	}
	ids, titles := map[int]bool{}, map[string]bool{}
	taken := map[[2]int]string{} // the cells of the grid
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] {
			t.Errorf("panel %d %q is there twice", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		if p.Type != "row" && (p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0) {
			t.Errorf("panel %q lacks a description, a unit or a query", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// dashboard is the part of Grafana's format that the tests read.
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []struct {
		ID                       int
		Title, Type, Description string
		GridPos                  struct{ X, Y, W, H int }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct{ Expr string }
	}
}

type query struct{ panel, expr string }

type ruleFile struct {
	Groups []struct{ Rules []rule }
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func load(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(files.Read(t, "fleet.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are the queries of all panels, with their variables.
func queries(t *testing.T) (all []query) {
	t.Helper()
	for _, p := range load(t).Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr})
		}
	}
	return all
}

// substitute replaces the variables as Grafana does when everything is
// selected.
func substitute(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", "scriptfleet.*", "$instance", ".+").Replace(expr)
}

func rules(t *testing.T, names ...string) (all []rule) {
	t.Helper()
	for _, file := range names {
		var f ruleFile
		if err := yaml.Unmarshal([]byte(files.Read(t, file)), &f); err != nil {
			t.Fatal(err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(program.OnPath(t, "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
