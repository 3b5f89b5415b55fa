package dashboards

import (
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
)

// byPromtool are the alerts of which only the unit tests show that they fire and
// end, each with its fault.
var byPromtool = map[string]string{
	"ScriptfleetBooks":                 "a run is lost",
	"ScriptfleetInFlightLimit":         "97,000 messages of one queue are in flight",
	"ScriptfleetProcessRestarted":      "a worker is killed and started again",
	"ScriptfleetIntakeStalled":         "requests wait and none is received",
	"ScriptfleetSlowQueue":             "nine runs in ten wait longer than 5 s for a worker",
	"ScriptfleetParkedNearBound":       "900 of 1,000 places for deliveries that wait for builds are taken",
	"ScriptfleetPutBackStorm":          "two deliveries in three are put back",
	"ScriptfleetPlatformErrors":        "one run in ten ends as `platform_error`",
	"ScriptfleetThrottled":             "Lambda throttles a fifth of the invocations",
	"ScriptfleetControlPlaneThrottled": "Lambda throttles one call a second that makes functions",
	"ScriptfleetBuildsFail":            "builds fail by the platform's fault",
	"ScriptfleetPanics":                "a run, a build, a request meets a panic",
	"ScriptfleetRolesFail":             "STS denies tenants' sessions",
}

// alertNames are the names of the alerts.
func alertNames(t *testing.T) []string {
	names := map[string]bool{}
	for _, r := range rules(t, "alerts.yml") {
		names[r.Alert] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// The unit tests are run by TestAlertsFireAtWhatTheyAreForAndAtNothingElse.
func TestAUnitTestOfEveryAlertSeesItFireAndThenEnd(t *testing.T) {
	ends := map[string]bool{}
	for _, name := range []string{"alerts_test.yml", "objectives_test.yml"} {
		var file struct {
			Tests []struct {
				Looks []struct {
					Alert string `yaml:"alertname"`
					At    string `yaml:"eval_time"`
					Fires []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(files.Read(t, name)), &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			fired := map[string]time.Duration{} // when an alert fires first
			at := func(text string) time.Duration {
				d, err := time.ParseDuration(text)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			for _, look := range test.Looks {
				if before, ok := fired[look.Alert]; len(look.Fires) > 0 && (!ok || at(look.At) < before) {
					fired[look.Alert] = at(look.At)
				}
			}
			for _, look := range test.Looks {
				if from, ok := fired[look.Alert]; ok && len(look.Fires) == 0 && at(look.At) > from {
					ends[look.Alert] = true
				}
			}
		}
	}
	for _, alert := range alertNames(t) {
		if !ends[alert] {
			t.Errorf("no test in alerts_test.yml or objectives_test.yml sees %s fire, and later not fire any more", alert)
		}
	}
}

func TestEveryAlertIsProvenInOneWayAndTheTableSaysHow(t *testing.T) {
	proven := map[string]string{} // the rows of the table
	for _, alert := range alertNames(t) {
		real, promtool := byRealFaults[alert], byPromtool[alert]
		switch {
		case (real == "") == (promtool == ""):
			t.Errorf("%s must be either in byRealFaults or in byPromtool", alert)
		case real != "":
			proven[alert] = real + " | real fault"
		default:
			proven[alert] = promtool + " | promtool"
		}
	}
	row := regexp.MustCompile(`(?m)^\| (Scriptfleet\w+) \| (.*) \|$`)
	table := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(files.Read(t, "README.md"), -1) {
		table[m[1]] = m[2]
	}
	if len(proven) != len(byRealFaults)+len(byPromtool) || !maps.Equal(table, proven) {
		for alert := range proven {
			if table[alert] != proven[alert] {
				t.Errorf("README.md must have: | %s | %s |", alert, proven[alert])
			}
		}
		t.Errorf("README.md has %d rows, there are %d alerts, and %d proofs", len(table), len(alertNames(t)), len(byRealFaults)+len(byPromtool))
	}
}
