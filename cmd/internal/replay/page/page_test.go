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

func TestScalesKeepValuesInTheirFrame(t *testing.T) {
	for name, s := range map[string]scale{
		"linear": upTo(7, 100, 0), "nothing": upTo(0, 100, 0), "decades": decades(3, 4000, 100, 0), "one decade": decades(1, 1, 100, 0), "zeros": decades(0, 0, 100, 0),
	} {
		for _, v := range []float64{-1, 0, 1e-9, 1, 3, 4000, 1e12} {
			if at := s.at(v); !(at >= 0 && at <= 100) {
				t.Errorf("%s: %g is at %g", name, v, at)
			}
		}
		ticks := s.ticks(4, plain)
		if len(ticks) < 2 || len(ticks) > 9 || ticks[0].At != 100 || ticks[len(ticks)-1].At != 0 {
			t.Errorf("%s: its ticks are %v", name, ticks)
		}
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

func TestTimesAreRound(t *testing.T) {
	for high, want := range map[float64]string{0: "0 s", 4: "0 s,1 s,2 s,3 s,4 s", 100: "0 s,30 s,1:00,1:30", 600: "0 s,2:00,4:00,6:00,8:00,10:00", 8000: "0 s,30:00,1:00:00,1:30:00,2:00:00"} {
		var got []string
		for _, tick := range (scale{high: high}).times(6) {
			got = append(got, tick.Text)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("up to %g: %v", high, got)
		}
	}
}

func TestFiguresAreShort(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{short(0.25), "0.25 ms"}, {short(12), "12 ms"}, {short(123.4), "123 ms"}, {short(1234), "1.23 s"}, {short(123_456), "123 s"},
		{clock(5), "5 s"}, {clock(90), "1:30"}, {clock(3723), "1:02:03"}, {plain(0.5), "0.5"}, {plain(12_345), "12,345"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}
