// Package page shows a report of a replay as one HTML page with plots. The page
// holds everything that it needs: it fetches nothing and runs no script.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/plot"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	//go:embed page.html
	text string

	parsed = template.Must(template.Must(template.New("page").Funcs(plot.Funcs).Parse(plot.Templates)).Parse(text))
)

// listed is the number of tenants in the table.
const listed = 100

// tile is one figure at the top of the page.
type tile struct {
	Name, Value, Note string
	Class             string // good or bad
}

// row is a stage in the table of stages.
type row struct {
	Class, Name string
	replay.Percentiles
	Share int // percent of the mean latency
}

type view struct {
	replay.Report
	Style    template.CSS
	Old      *replay.Report
	When     string
	Took     string
	Tiles    []tile
	Plots    []*plot.Plot
	Rows     []row
	Listed   []replay.TenantReport
	Unlisted int
}

// Write writes the page of a report; old is the report with which it is
// compared, or nil.
func Write(w io.Writer, r replay.Report, old *replay.Report) error {
	v := view{
		Report: r, Style: plot.Style, Old: old, When: r.StartedAt.UTC().Format("2006-01-02 15:04 MST"),
		Took:  time.Duration(r.Seconds * float64(time.Second)).Round(100 * time.Millisecond).String(),
		Tiles: tiles(r), Rows: rows(r), Listed: r.Tenants[:min(listed, len(r.Tenants))],
	}
	v.Unlisted = len(r.Tenants) - len(v.Listed)
	v.Plots = append(newOver(r.Timeline).plots(), distribution(r, old), waits(r), shares(r))
	if err := parsed.Execute(w, v); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func tiles(r replay.Report) []tile {
	none := func(n int) string {
		if n > 0 {
			return "bad"
		}
		return "good"
	}
	var ended []string
	for _, s := range run.Statuses {
		if n := r.ByStatus[s]; n > 0 {
			ended = append(ended, plot.Grouped(float64(n))+" "+strings.ReplaceAll(string(s), "_", " "))
		}
	}
	return []tile{
		{"results", plot.Grouped(float64(r.Results)), "of " + plot.Grouped(float64(r.Runs)) + " runs: " + strings.Join(ended, ", "), none(r.Runs - r.Results)},
		{"lost", plot.Grouped(float64(r.Lost.Count)), "without a result", none(r.Lost.Count)},
		{"doubled", plot.Grouped(float64(r.Doubled.Count)), "two results that differ", none(r.Doubled.Count)},
		{"throughput", fmt.Sprintf("%.1f/s", r.ResultRate), fmt.Sprintf("sent at %.1f/s, late by p99 %s", r.SendRate, plot.Short(r.Lateness.P99)), ""},
		{"latency p50", plot.Short(r.Latency.P50), "p90 " + plot.Short(r.Latency.P90), ""},
		{"latency p99", plot.Short(r.Latency.P99), "max " + plot.Short(r.Latency.Max), ""},
		{"builds", plot.Grouped(float64(r.Builds.Built)), fmt.Sprintf("of %s scripts, %s built more than once", plot.Grouped(float64(r.Builds.Scripts)), plot.Grouped(float64(len(r.Builds.Again)))), none(len(r.Builds.Again))},
		{"cold starts", plot.Grouped(float64(r.ColdStarts)), share(r.ColdStarts, r.Results) + " of the results", ""},
	}
}

func share(n, of int) string {
	if of == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

func rows(r replay.Report) []row {
	all := []row{{Class: "latency", Name: "latency", Percentiles: r.Latency, Share: 100}}
	for _, s := range shown {
		p := r.Stages[s.name]
		if p.Max > 0 {
			all = append(all, row{s.name, s.text, p, int(100*p.Mean/max(r.Latency.Mean, 1e-9) + 0.5)})
		}
	}
	return all
}
