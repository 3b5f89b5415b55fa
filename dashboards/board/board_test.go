package board

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// sample is a dashboard with a panel of each kind.
var sample = Dashboard{
	UID: "scriptfleet-sample", Title: "A <sample>", Description: "What & why",
	Variables: []Variable{{Name: "tenant", Label: "Tenant", Query: "label_values(up, tenant)"}, {Name: "usd", Label: "Price", Value: "0.5"}},
	Rows: []Row{{Title: "Row of $tenant", Panels: []Panel{
		{Title: "Number", Kind: Stat, Unit: Share, Width: 6, Limits: []Limit{{0.01, Bad}}, Queries: []Query{{Expr: "a{@}"}}, Description: "one", Alert: "ScriptfleetDeadLetter"},
		{Title: "Course", Kind: Lines, Unit: Seconds, Width: 12, Queries: []Query{{Expr: "rate(b{@,x=\"y\"}[@])", Legend: "p50"}}, Description: "two"},
		{Title: "Parts", Kind: Stacked, Unit: PerSecond, Width: 12, Queries: []Query{{Expr: "c", Legend: "{{status}}"}}, Description: "three"},
		{Title: "Top", Kind: Bars, Unit: Count, Width: 12, Queries: []Query{{Expr: "d", Legend: "{{tenant}}"}}, Description: "four"},
		{Title: "Nothing", Kind: Lines, Unit: Bytes, Width: 12, Queries: []Query{{Expr: "e"}}, Description: "five"},
	}}},
}

func shown(t *testing.T) string {
	t.Helper()
	from := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	points := func(values ...float64) (ps []Point) {
		for i, v := range values {
			ps = append(ps, Point{from.Add(time.Duration(i) * 20 * time.Second), v})
		}
		return ps
	}
	data := map[string][]Series{
		"Number": {{"Number", points(0, 0.02)}},
		"Course": {{"p50", append(points(0.5, 1, 2), Point{from.Add(9 * time.Minute), 90})}},
		"Parts":  {{"succeeded", points(1, 2, 3)}, {"<script>", points(4, 5, 6)}},
		"Top":    {{"acme", points(5)}, {"flood", points(50)}},
	}
	return string(Shown{
		Dashboard: sample, From: from, To: from.Add(10 * time.Minute), Note: "a test", Pages: map[string]string{"other.html": "Other"},
		Values: map[string]string{"tenant": "acme", "usd": "0.5"}, Series: func(p Panel) []Series { return data[p.Title] },
	}.Page())
}

func TestAPageNeedsNothingElseAndShowsEveryPanel(t *testing.T) {
	page := shown(t)
	for _, from := range []string{"<script", "<link", "<img", "@import", "url(", "src="} {
		if strings.Contains(strings.ReplaceAll(page, "&lt;script", ""), from) {
			t.Errorf("the page has %s", from)
		}
	}
	for _, want := range []string{
		"A &lt;sample&gt;", "Row of acme", `href="other.html"`, "#scriptfleetdeadletter", "No data",
		`color:#f2495c">2 %`, "h0L", ">90 s<", ">p50<", "<b>0.5</b>", "&lt;script&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, r := range sample.Rows {
		for _, p := range r.Panels {
			if !strings.Contains(page, "<h3>"+p.Title) {
				t.Errorf("panel %s is missing", p.Title)
			}
		}
	}
	if strings.Index(page, "<span>flood<") > strings.Index(page, "<span>acme<") {
		t.Error("the bars do not begin with the largest")
	}
	// What is drawn is well formed.
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s", svg)
		}
	}
	// To look at: go test ./dashboards/board -run Page, with PAGE set to a file.
	if file := os.Getenv("PAGE"); file != "" {
		_ = os.WriteFile(filepath.Clean(file), []byte(page), 0o600)
	}
}

func TestAMissingTimeIsAGapAndAStackAddsUp(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	if got := parts([]Point{{at(0), 1}, {at(1), 1}, {at(50), 1}}, 100); len(got) != 2 || len(got[0]) != 2 {
		t.Errorf("%v", got)
	}
	got := stack([]Series{{"a", []Point{{at(0), 1}, {at(1), 2}}}, {"b", []Point{{at(1), 5}}}})
	if got[1].Points[0].Value != 7 {
		t.Errorf("%v", got)
	}
}

func TestValuesAreWrittenWithTheirUnits(t *testing.T) {
	for _, c := range []struct {
		unit     string
		decimals int
		value    float64
		want     string
	}{
		{Seconds, 0, 0.0000005, "0.5 µs"}, {Seconds, 0, 0.0123, "12.3 ms"}, {Seconds, 0, 1.5, "1.5 s"}, {Seconds, 0, 600, "10 min"},
		{Seconds, 0, 90000, "25 h"}, {Share, 1, 0.1234, "12.3 %"}, {Share, 1, 0.00001, "0.001 %"}, {PerSecond, 1, 1234, "1.2 K /s"},
		{Bytes, 0, 1 << 29, "512 MiB"}, {Dollars, 2, 2.333, "$2.33"}, {Count, 0, 12, "12"}, {Count, 0, 0, "0"}, {Cores, 2, 0.5, "0.5"},
	} {
		if got := (Panel{Unit: c.unit, Decimals: c.decimals}).Text(c.value); got != c.want {
			t.Errorf("%g in %s: %q, not %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestColorsFollowTheLimitsUpwardsAndDownwards(t *testing.T) {
	rising := Panel{Limits: []Limit{{1, Warn}, {5, Bad}}}
	falling := Panel{Limits: []Limit{{0.5, Bad}, {0.9, Warn}}, Falling: true}
	for _, c := range []struct {
		p     Panel
		value float64
		want  string
	}{
		{rising, 0, "green"}, {rising, 1, Warn}, {rising, 7, Bad},
		{falling, 0.1, Bad}, {falling, 0.6, Warn}, {falling, 0.95, "green"},
	} {
		if got := c.p.shade(c.value); got != shades[c.want] {
			t.Errorf("%g: %s, not %s", c.value, got, c.want)
		}
	}
}
