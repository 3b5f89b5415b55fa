package dashboards

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/board"
)

// make observe sets the folder: the proof then plays a longer story, prints what
// each query shows, and renders the dashboards.
var (
	observeIn   = flag.String("observe", "", "folder for the rendered dashboards and the values of all queries; prints the values too")
	observeJSON = flag.Bool("observe-json", false, "print the values as one JSON object a line")
)

func storyLength() time.Duration {
	if *observeIn != "" {
		return 75 * time.Second
	}
	return 10 * time.Second
}

// reading is what one query shows at the end: a line of the table.
type reading struct {
	Dashboard string `json:"dashboard"`
	Panel     string `json:"panel"`
	Query     string `json:"query"`
	Series    string `json:"series"`
	Value     string `json:"value"` // the last one
	Highest   string `json:"highest"`
	Unit      string `json:"unit"`
	// Raw is the last value without its unit.
	Raw float64 `json:"raw"`
}

// observe renders the dashboards over the time of the proof.
func (s *site) observe(t *testing.T) {
	if *observeIn == "" {
		return
	}
	if err := os.MkdirAll(*observeIn, 0o755); err != nil {
		t.Fatal(err)
	}
	from, to := s.began, time.Now()
	s.busiest = s.busiestTime(t, from, to)
	boards := Boards()
	pages := map[string]string{}
	for name, d := range boards {
		pages[page(name)] = d.Title
	}
	var readings []reading
	for _, name := range slices.Sorted(maps.Keys(boards)) {
		d := boards[name]
		values := map[string]string{"tenant": "flood"}
		for _, v := range d.Variables {
			if v.Query == "" {
				values[v.Name] = v.Value
			}
		}
		shown := board.Shown{
			Dashboard: d, From: from, To: to, At: s.busiest, Pages: pages, Values: values,
			Note:   "Recorded by a real Prometheus while real processes answered a replay with faults: a burst of a new script, scripts that fail, Lambda throttling, a worker that is killed",
			Series: func(p board.Panel) []board.Series { return s.course(t, p, from, to) },
		}
		file := filepath.Join(*observeIn, page(name))
		if err := os.WriteFile(file, shown.Page(), 0o644); err != nil {
			t.Fatal(err)
		}
		readings = append(readings, s.readings(t, d)...)
		screenshot(t, file, shown.Height())
	}
	tell(t, readings)
}

func page(name string) string { return strings.TrimSuffix(name, ".json") + ".html" }

// readings are the last values of a dashboard's queries during the proof. For a
// query with several series it is that of the largest.
func (s *site) readings(t *testing.T, d board.Dashboard) (all []reading) {
	for _, r := range d.Rows {
		for _, p := range r.Panels {
			for _, q := range p.Queries {
				one := p
				one.Queries = []board.Query{q}
				read := reading{Dashboard: d.Title, Panel: p.Title, Query: q.Text(), Unit: p.Unit}
				largest := s.largest(t, one)
				if largest == nil {
					t.Errorf("%s: %s shows nothing", p.Title, q.Text())
				} else {
					read.Series, read.Raw, read.Value, read.Highest = largest.Name, largest.Last(), p.Text(largest.Last()), p.Text(largest.Max())
				}
				all = append(all, read)
			}
		}
	}
	return all
}

func (s *site) largest(t *testing.T, p board.Panel) (largest *board.Series) {
	for _, series := range s.course(t, p, s.began, time.Now()) {
		if largest == nil || series.Max() > largest.Max() {
			largest = &series
		}
	}
	return largest
}

// tell prints the readings, and writes them to the folder.
func tell(t *testing.T, readings []reading) {
	var lines strings.Builder
	for _, r := range readings {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	if err := os.WriteFile(filepath.Join(*observeIn, "values.jsonl"), []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if *observeJSON {
		fmt.Print(lines.String())
		return
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DASHBOARD\tPANEL\tSERIES\tVALUE\tHIGHEST\tQUERY")
	for _, r := range readings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", strings.TrimPrefix(r.Dashboard, "scriptfleet: "), r.Panel, r.Series, r.Value, r.Highest, r.Query)
	}
	_ = table.Flush()
	in, _ := filepath.Abs(*observeIn)
	empty := 0
	for _, r := range readings {
		if r.Value == "" {
			empty++
		}
	}
	fmt.Printf("\n%d queries of %d panels, %d without a value. Pages and pictures: %s\n", len(readings), panelsOf(readings), empty, in)
}

func panelsOf(readings []reading) int {
	seen := map[string]bool{}
	for _, r := range readings {
		seen[r.Dashboard+r.Panel] = true
	}
	return len(seen)
}

// screenshot has Chromium draw a page, if it is there.
func screenshot(t *testing.T, file string, height int) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Println("chromium is not installed: no pictures, only pages (.ci/setup draw installs it, as root)")
		return
	}
	file, _ = filepath.Abs(file)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--window-size=1600,"+strconv.Itoa(height),
		"--screenshot="+strings.TrimSuffix(file, ".html")+".png", "file://"+file).CombinedOutput()
	if err != nil {
		t.Errorf("draw %s: %v\n%s", file, err, out)
	}
}

// busiestTime is when most was in hand: bars show a moment, and at the end there
// is little to see.
func (s *site) busiestTime(t *testing.T, from, to time.Time) (at time.Time) {
	most := -1.0
	for _, r := range s.prometheus.matrix(t, `sum(scriptfleet_worker_tenant_runs)`, from, to) {
		for _, p := range r.points {
			if p.Value > most {
				at, most = p.At, p.Value
			}
		}
	}
	return at
}

// near is what a query shows at a time, or within some seconds before it: on a busy
// machine a scrape may be missing.
func (s *site) near(t *testing.T, expr string, at time.Time) []ranged {
	for back := range 15 {
		at := at.Add(-time.Duration(back) * time.Second)
		if found := s.prometheus.matrix(t, expr, at, at); len(found) > 0 {
			return found
		}
	}
	return nil
}

// course are the series of a panel's queries over a time.
func (s *site) course(t *testing.T, p board.Panel, from, to time.Time) (all []board.Series) {
	for _, q := range p.Queries {
		expr := substitute(q.Text())
		found := s.prometheus.matrix(t, expr, from, to)
		if p.Kind == board.Bars {
			found = s.near(t, expr, s.busiest)
		}
		for _, r := range found {
			if series := (board.Series{Name: q.Name(p, r.labels), Points: r.points}); len(r.points) > 0 {
				all = append(all, series)
			}
		}
	}
	return all
}
