package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
)

// saved writes a report to a file.
func saved(t *testing.T, r replay.Report) string {
	t.Helper()
	r.StartedAt = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheExitCodeOfAReplaySaysWhatWentWrong(t *testing.T) {
	missed := []string{"--objective", "p99<1ms"}
	latency := replay.Percentiles{Count: 1, P99: 5}
	for name, c := range map[string]struct {
		report replay.Report
		more   []string
		want   int
	}{
		"all well":          {replay.Report{Latency: latency}, []string{"--objective", "p99<6ms"}, 0},
		"lost":              {replay.Report{Lost: replay.RunList{Count: 1}, Doubled: replay.RunList{Count: 1}}, missed, exitLost},
		"doubled":           {replay.Report{Doubled: replay.RunList{Count: 1}, SendErrors: 1}, missed, exitDoubled},
		"not sent":          {replay.Report{SendErrors: 1}, missed, exitFailed},
		"an objective":      {replay.Report{Latency: latency}, missed, exitMissed},
		"no such objective": {replay.Report{}, []string{"--objective", "p98<1ms"}, exitUsage},
		"no report":         {replay.Report{}, []string{"--compare", "report_test.go"}, exitUsage},
		"no place for it":   {replay.Report{}, []string{"--html", "/dev/null/page.html"}, exitUsage},
	} {
		if code := execute(t.Context(), append([]string{"report", saved(t, c.report), "--json"}, c.more...)); code != c.want {
			t.Errorf("%s: exit code %d, not %d", name, code, c.want)
		}
	}
}

func TestAReportIsComparedAndWrittenAsAPage(t *testing.T) {
	dir := t.TempDir()
	html, both := filepath.Join(dir, "page.html"), filepath.Join(dir, "both.json")
	args := []string{"report", saved(t, replay.Report{Label: "new", ResultRate: 3}), "--compare", saved(t, replay.Report{Label: "old", ResultRate: 2}), "--html", html, "--report", both}
	if code := execute(t.Context(), args); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	page, err := os.ReadFile(html)
	if err != nil || !strings.Contains(string(page), "compared with replay old") || !strings.Contains(string(page), "×1.50") {
		t.Errorf("%v, the page is %s", err, page)
	}
	r, err := readReport(both)
	if err != nil || r.Compared == nil || r.Compared.Label != "old" {
		t.Errorf("%v, compared: %+v", err, r.Compared)
	}
}
