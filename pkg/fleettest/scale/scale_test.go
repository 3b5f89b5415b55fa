package scale

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/prices"
)

var (
	scale   = flag.Bool("scale", false, "play the whole load (make scale)")
	minutes = flag.Float64("minutes", 30, "`minutes` to play after the warm-up")
	times   = flag.Int("times", 1, "play the load against limits so many `times` smaller, as if it were so many times larger")
	perWeek = flag.Float64("runs-a-week", 1e9, "`runs` a week")
	edits   = flag.Float64("edits", 1, "`edits` of a tenant in a day of eight hours")
	cells   = flag.Int("cells", 1, "play one of so many `cells`: accounts or regions, each with a fleet and an equal part of the tenants")
	runners = flag.Bool("env-runners", true, "run new scripts of known envs in env runners")
	cold    = flag.Bool("cold", false, "start the workers without sessions, as if all of them were restarted at once")
	running = flag.Int("concurrency", 5000, "`limit` of concurrent executions, which AWS raises; 1,000 in a new account")
	pageTo  = flag.String("page", "", "`file` of the HTML page")
)

// toRoot is the path of the project's root from here.
const toRoot = "../../../"

// TestScale plays the whole load and reports.
func TestScale(t *testing.T) {
	if !*scale {
		return // the short form is below
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // what is played makes garbage, and keeps little
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(8 << 30))
	bench, err := figures(toRoot + ".ci/bench/figures.json")
	if err != nil {
		t.Fatal(err)
	}
	const tenants = 100_000
	l := load{seed: 1, tenants: tenants / *cells, rate: *perWeek / (7 * 24 * 3600) / float64(*cells), edits: *edits * tenants / (8 * 3600) / float64(*cells)}
	s := size{dispatchers: max(1, 4 / *cells), workers: max(2, 10 / *cells), concurrency: 400, partitions: max(8, 32 / *cells), runners: *runners, cold: *cold}
	limits := defaultLimits
	limits.Concurrency = *running
	limits = limits.divided(*times)
	var p *play
	synctest.Test(t, func(t *testing.T) {
		p = playLoad(t, s, l, limits, 2*time.Minute, time.Duration(*minutes*float64(time.Minute)))
	})
	r := p.report(bench, prices.List())
	r.print()
	if *pageTo == "" {
		return
	}
	f, err := os.Create(*pageTo)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(f, limits); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("\nthe page is in", *pageTo)
}

// TestALoadIsPlayedAndReported is the short form: nothing is lost, and the tables
// and the page have no empty cell.
func TestALoadIsPlayedAndReported(t *testing.T) {
	l := load{seed: 1, tenants: 200, rate: 20, edits: 0.5}
	var p *play
	synctest.Test(t, func(t *testing.T) {
		p = playLoad(t, size{dispatchers: 1, workers: 2, concurrency: 20, partitions: 4, runners: true}, l, defaultLimits, 10*time.Second, 30*time.Second)
	})
	if lost := len(p.seen) - p.results; lost != 0 || p.doubled != 0 {
		t.Errorf("of %d runs %d are lost and %d doubled", len(p.seen), lost, p.doubled)
	}
	r := p.report(map[string]float64{"cpu.fleet": 0.5, "redis.commands.2000": 8}, prices.Prices{RedisNodes: []prices.RedisNode{{Type: "one", GB: 1, Hour: 1}}})
	if !r.Good {
		t.Error(r.Verdict)
	}
	for _, table := range r.Tables {
		for _, row := range table.Rows {
			if len(row) != len(table.Head) {
				t.Errorf("%s: %q has not a cell for each of %q", table.Title, row, table.Head)
			}
			for _, cell := range row {
				if cell == "" {
					t.Errorf("%s: a cell of %q is empty", table.Title, row)
				}
			}
		}
	}
	var page strings.Builder
	if err := r.write(&page, defaultLimits); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), "<svg"); n != 8 || strings.Contains(page.String(), "NaN") {
		t.Errorf("the page has %d plots", n)
	}
}

// A load above a limit is refused, and the report says by which.
func TestTheReportNamesTheLimitThatRefuses(t *testing.T) {
	limits := defaultLimits
	limits.Concurrency = 5
	var p *play
	synctest.Test(t, func(t *testing.T) {
		p = playLoad(t, size{dispatchers: 1, workers: 2, concurrency: 20, partitions: 4}, load{seed: 1, tenants: 20, rate: 20}, limits, 0, 20*time.Second)
	})
	if names := strings.Join(p.refused(), "; "); !strings.HasPrefix(names, "concurrent executions (") {
		t.Errorf("refused by %q", names)
	}
}

// Workers that have been up for a day have nearly all the sessions that a small
// load needs.
func TestAFleetThatHasBeenUpHardlyNeedsSTS(t *testing.T) {
	calls := map[bool]int{}
	for _, cold := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := playLoad(t, size{dispatchers: 1, workers: 2, concurrency: 20, partitions: 4, cold: cold}, load{seed: 1, tenants: 20, rate: 20}, defaultLimits, 0, 10*time.Second)
			calls[cold] = p.total().STS
		})
	}
	if calls[false] > calls[true]/4 {
		t.Errorf("%d calls of STS, and %d by a fleet that was restarted", calls[false], calls[true])
	}
}
