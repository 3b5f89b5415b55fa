package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/dashboards/board"
	"github.com/scriptfleet/scriptfleet/dashboards/prices"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

func TestPrometheusAcceptsConfigurationAndRules(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "check", "rules", "recording.yml", "alerts.yml")
}

func TestAlertsFireAtWhatTheyAreForAndAtNothingElse(t *testing.T) {
	promtool(t, "test", "rules", "alerts_test.yml", "objectives_test.yml")
}

func TestEveryAlertIsTestedAndHasASectionInTheRunbook(t *testing.T) {
	tests, runbook := files.Read(t, "alerts_test.yml")+files.Read(t, "objectives_test.yml"), files.Read(t, "../deploy/README.md")
	for _, r := range rules(t, "alerts.yml") {
		if !strings.Contains(tests, "alertname: "+r.Alert+"\n") {
			t.Errorf("%s is tested neither in alerts_test.yml nor in objectives_test.yml", r.Alert)
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

var update = flag.Bool("update", false, "write the dashboards from their descriptions")

func TestDashboardsAreThoseOfTheDescriptions(t *testing.T) {
	for name, d := range Boards() {
		want, err := d.Grafana()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil { //nolint:gosec // a file of the repository
				t.Fatal(err)
			}
		} else if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code describes (%v): go test ./dashboards -run Descriptions -update", name, err)
		}
	}
}

func TestEveryQueryOfTheDashboardsParses(t *testing.T) {
	var b strings.Builder
	b.WriteString("groups:\n- name: panels\n  rules:\n")
	for i, q := range queries(t) {
		fmt.Fprintf(&b, "  - {record: 'panel:query_%d', expr: %q}\n", i, substitute(q.expr))
	}
	promtool(t, "check", "rules", files.Write(t, "panels.yml", b.String()))
}

// The units of Grafana that panels have.
var units = []string{board.Seconds, board.PerSecond, board.Ops, board.Share, board.Count, board.Bytes, board.Cores, board.Dollars}

func TestPanelsAreDescribedDistinctAndInPlace(t *testing.T) {
	for name, d := range load(t) {
		ids, titles := map[int]bool{}, map[string]bool{}
		taken := map[[2]int]string{} // the cells of the grid
		row := ""
		for _, p := range d.Panels {
			if p.Type == "row" {
				row = p.Title
			}
			if ids[p.ID] || titles[row+p.Title] {
				t.Errorf("%s: panel %d %q is there twice", name, p.ID, p.Title)
			}
			ids[p.ID], titles[row+p.Title] = true, true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: panel %q lies on %q, or outside", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Description == "" || len(p.Targets) == 0 || !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
				t.Errorf("%s: panel %q lacks a description or a query, or has the unit %q", name, p.Title, p.FieldConfig.Defaults.Unit)
			}
			for _, link := range p.Links {
				if alert, ok := strings.CutPrefix(link.Title, "Runbook: "); ok && !isAlert(t, alert) {
					t.Errorf("%s: panel %q links to %s, which is no alert", name, p.Title, alert)
				}
			}
			for _, target := range p.Targets {
				if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
					t.Errorf("%s: panel %q has a data source of its own", name, p.Title)
				}
				suits(t, name+": "+p.Title, target.Expr, p.FieldConfig.Defaults.Unit)
			}
		}
	}
}

// suits checks a query by its text: its unit, the variables that it must have,
// and its labels.
func suits(t *testing.T, panel, expr, unit string) {
	t.Helper()
	quantile := strings.HasPrefix(expr, "histogram_quantile")
	switch {
	case quantile && strings.Contains(expr, "_seconds_bucket") != (unit == board.Seconds),
		strings.Contains(expr, "_bytes{") && !strings.Contains(expr, "$usd") && unit != board.Bytes,
		strings.Contains(expr, "$usd") != (unit == board.Dollars):
		t.Errorf("%s: %s is not in %s", panel, expr, unit)
	}
	for _, selector := range regexp.MustCompile(`(scriptfleet_\w+|process_\w+|go_\w+|up)\{[^}]*\}`).FindAllString(expr, -1) {
		if !strings.Contains(selector, `job=~"$job",instance=~"$instance"`) {
			t.Errorf("%s: %s does not go by the variables job and instance", panel, selector)
		}
	}
	for _, m := range regexp.MustCompile(`(?:by|ignoring|group_left) \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
		for label := range strings.FieldsFuncSeq(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			if _, bounded := bounds[label]; !bounded {
				t.Errorf("%s: the label %s has no bound in bounds_test.go", panel, label)
			}
		}
	}
}

func isAlert(t *testing.T, name string) bool {
	return slices.ContainsFunc(rules(t, "alerts.yml"), func(r rule) bool { return r.Alert == name })
}

func TestDashboardsLinkToEachOtherAndToTheRunbook(t *testing.T) {
	uids := map[string]bool{}
	for name, d := range load(t) {
		if d.SchemaVersion < 41 || uids[d.UID] || !strings.HasPrefix(d.UID, "scriptfleet-") {
			t.Errorf("%s: uid %q, schema version %d", name, d.UID, d.SchemaVersion)
		}
		uids[d.UID] = true
		linked := map[string]bool{}
		for _, l := range d.Links {
			linked[l.Type] = true
			for _, tag := range l.Tags {
				if !slices.Contains(d.Tags, tag) {
					t.Errorf("%s links to dashboards with the tag %s, and does not have it", name, tag)
				}
			}
		}
		if !linked["dashboards"] || !linked["link"] {
			t.Errorf("%s links to the other dashboards and to the runbook: %v", name, linked)
		}
		if compose := files.Read(t, "../docker-compose.yml"); !strings.Contains(compose, "./dashboards/"+name+":") {
			t.Errorf("docker-compose.yml does not give %s to Grafana", name)
		}
	}
	for _, link := range regexp.MustCompile(`/d/(scriptfleet-\w+)`).FindAllStringSubmatch(files.Read(t, "tenants.json"), -1) {
		if !uids[link[1]] {
			t.Errorf("a panel links to %s, which is no dashboard", link[1])
		}
	}
}

// dashboard is the part of Grafana's format that the tests read.
type dashboard struct {
	UID           string
	SchemaVersion int
	Tags          []string
	Links         []struct {
		Type string
		Tags []string
	}
	Panels []struct {
		ID                       int
		Title, Type, Description string
		Datasource               struct{ UID string }
		Links                    []struct{ Title string }
		GridPos                  struct{ X, Y, W, H int }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

type query struct{ panel, expr, unit string }

type ruleFile struct {
	Groups []struct{ Rules []rule }
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func load(t *testing.T) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for name := range Boards() {
		var d dashboard
		if err := json.Unmarshal([]byte(files.Read(t, name)), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = d
	}
	return all
}

// queries are the queries of all panels, with their variables.
func queries(t *testing.T) (all []query) {
	t.Helper()
	for name, d := range load(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				all = append(all, query{name + ": " + p.Title, target.Expr, p.FieldConfig.Defaults.Unit})
			}
		}
	}
	return all
}

// ratesOver is the interval of rates on the rendered pages, and rangeOf is the
// time that they show.
const (
	ratesOver = "10s"
	rangeOf   = "5m"
)

// substitute replaces the variables as Grafana does when everything is
// selected, with the list prices and the tenant that floods.
func substitute(expr string) string {
	return variable.ReplaceAllStringFunc(expr, func(name string) string { return variables()[name] })
}

var variable = regexp.MustCompile(`\$\w+`)

var variables = sync.OnceValue(func() map[string]string {
	values := map[string]string{"$__rate_interval": ratesOver, "$__range": rangeOf, "$job": "scriptfleet.*", "$instance": ".+", "$tenant": "flood"}
	for _, v := range priceVariables(prices.List()) {
		values["$"+v.Name] = v.Value
	}
	return values
})

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
