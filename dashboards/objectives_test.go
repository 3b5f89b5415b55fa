package dashboards

import (
	"regexp"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
)

// The page names each target and bound as the rules have them.
func TestObjectivesAreDocumentedAsTheRulesCountThem(t *testing.T) {
	page := files.Read(t, "README.md")
	bound := regexp.MustCompile(`,le=~?"([0-9.]+)[|"]`)
	budgets := map[string]string{} // by objective
	bounds := map[string]string{}
	for _, r := range rules(t, "recording.yml") {
		switch slo := r.Labels["slo"]; r.Record {
		case "scriptfleet:slo:budget":
			budgets[slo] = strings.TrimSuffix(strings.TrimPrefix(r.Expr, "vector("), ")")
		case "scriptfleet:slo_bad:rate5m":
			bounds[slo] = ""
			if m := bound.FindStringSubmatch(r.Expr); m != nil {
				bounds[slo] = "more than " + m[1] + " s after"
			}
		}
	}
	if len(budgets) != 3 || len(bounds) != 3 {
		t.Errorf("the rules have the budgets %v and the bad events of %v", budgets, bounds)
	}
	for slo, budget := range budgets {
		row := regexp.MustCompile("(?m)^.*`" + slo + "`.*$").FindString(page)
		if !strings.Contains(row, "| "+budget+" of") || !strings.Contains(row, bounds[slo]) {
			t.Errorf("%s has the budget %s and the bound %q, and README.md says: %s", slo, budget, bounds[slo], row)
		}
	}
}
