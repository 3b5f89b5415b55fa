package page

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
)

// recorded is the report that the tests of package replay keep: of a replay in
// which everything happened that can.
func recorded(t *testing.T) (r replay.Report) {
	t.Helper()
	text, err := os.ReadFile("../testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t *testing.T, r replay.Report, old *replay.Report) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, r, old); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThePageShowsEveryPlotAndFetchesNothing(t *testing.T) {
	r := recorded(t)
	old := recorded(t)
	old.Label = "the older one"
	r.Compare(&old)
	page := written(t, r, &old)
	if n := strings.Count(page, "<svg"); n != 9 {
		t.Errorf("%d plots", n)
	}
	for _, d := range regexp.MustCompile(`<path class="[^"]*" d="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !regexp.MustCompile(`^(M[0-9.]+,[0-9.]+h0(L[0-9.]+,[0-9.]+)*)+Z?$`).MatchString(d[1]) {
			t.Errorf("a path is %q", d[1])
		}
	}
	for _, want := range []string{"3 of 106 runs got no result", "the older one", "class=\"line c-latency old\"", "quiet", "×1.00"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if found := regexp.MustCompile(`(?i)(src|href)\s*=|url\(|@import|<script|<link|https?:`).FindString(page); found != "" {
		t.Errorf("the page has %q, which fetches or runs something", found)
	}
}

func TestNothingInAReportBecomesMarkup(t *testing.T) {
	r := recorded(t)
	r.Label, r.Failure, r.Tenants[0].Tenant = `<img x>`, `</style><b>`, `"><i>`
	page := written(t, r, nil)
	for _, bad := range []string{"<img", "</style><b>", `"><i>`} {
		if strings.Contains(strings.ReplaceAll(page, `"><i></i>`, ""), bad) {
			t.Errorf("the page holds %s as it came", bad)
		}
	}
}

func TestAReplayWithoutResultsHasAPageToo(t *testing.T) {
	page := written(t, replay.Report{}, &replay.Report{})
	if bad := regexp.MustCompile(`NaN|Inf`).FindString(page); bad != "" {
		t.Errorf("the page has %s in it", bad)
	}
}

func TestALineHasAGapWhereNoRunWasDue(t *testing.T) {
	r := recorded(t)
	r.Timeline.Points[2].Latency, r.Timeline.Points[2].Stages = replay.Brief{}, nil
	for _, p := range newOver(r.Timeline).plots() {
		for _, l := range p.Lines {
			want := 1
			if p.Title == "Latency" || p.Title == "The slowest runs of each stage" {
				want = 2
			}
			if got := strings.Count(l.Path, "M"); got != want {
				t.Errorf("%s, %s: %d strokes, not %d: %s", p.Title, l.Class, got, want, l.Path)
			}
		}
	}
}
