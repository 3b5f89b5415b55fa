// Package board describes dashboards: rows of panels, each with its queries, its
// unit and its limits. From one description come the file for Grafana
// ([Dashboard.Grafana]) and a page that needs neither Grafana nor Prometheus
// ([Page]).
//
// In an expression of a panel, {@ stands for the selectors of the variables job
// and instance, and [@] for Grafana's interval of rates:
//
//	sum by (status) (rate(scriptfleet_worker_results_total{@}[@]))
//	sum(scriptfleet_queue_depth{@,state="visible"})
package board

import "strings"

// Dashboard is a page of rows.
type Dashboard struct {
	UID, Title, Description string
	Variables               []Variable // besides datasource, job and instance
	Rows                    []Row
}

// Variable is a value that is chosen on the dashboard: from the values of a label
// if it has a Query, else a number that can be edited.
type Variable struct {
	Name, Label, Description string
	Query                    string
	Value                    string // of a number
}

// Row is a line of panels below a title, which says what the row answers.
type Row struct {
	Title  string
	Panels []Panel
}

// Kind is how a panel shows its values.
type Kind string

const (
	Stat    Kind = "stat"       // the last value, with its course behind it
	Lines   Kind = "timeseries" // values over time
	Stacked Kind = "stacked"    // values over time that add up to something
	Bars    Kind = "bargauge"   // the last values, beside each other
)

// The units, by Grafana's names.
const (
	Seconds   = "s"
	PerSecond = "reqps" // runs, requests or deliveries
	Ops       = "ops"   // calls and builds
	Share     = "percentunit"
	Count     = "short"
	Bytes     = "bytes"
	Cores     = "none"
	Dollars   = "currencyUSD"
)

// Panel is one picture.
type Panel struct {
	Title, Description string
	Kind               Kind
	Unit               string
	Width              int // of 24; the height is that of its kind
	Queries            []Query
	Limits             []Limit // in rising order
	Falling            bool    // values below a limit are bad, not those above
	Max                float64 // of the axis; 0: by the values
	Decimals           int
	Exemplars          bool   // points that lead to traces
	Alert              string // the alert that watches this; its section in the runbook is linked
	Tenants            bool   // series have a label tenant: each leads to the tenant's own row
}

// Query is a query and the name of its series, in which {{label}} stands for the
// value of a label.
type Query struct{ Expr, Legend string }

// Limit is a value from which on a panel has a colour.
type Limit struct {
	At    float64
	Color string // Warn or Bad
}

const (
	Warn = "orange"
	Bad  = "red"
)

// Heights of panels, in rows of Grafana's grid.
const (
	statHeight  = 4
	graphHeight = 9
	columns     = 24
)

func (p Panel) height() int {
	if p.Kind == Stat {
		return statHeight
	}
	return graphHeight
}

var macros = strings.NewReplacer(
	"{@}", `{job=~"$job",instance=~"$instance"}`,
	"{@,", `{job=~"$job",instance=~"$instance",`,
	"[@]", "[$__rate_interval]",
)

// Text is the expression as Grafana has it, with its variables.
func (q Query) Text() string { return macros.Replace(q.Expr) }

// cell is a place on Grafana's grid.
type cell struct{ X, Y, W, H int }

// layout places rows below each other, and panels beside each other for as long
// as they fit.
func (d Dashboard) layout() (rows []cell, panels [][]cell) {
	y := 0
	for _, r := range d.Rows {
		rows = append(rows, cell{0, y, columns, 1})
		y++
		var cells []cell
		x, tallest := 0, 0
		for _, p := range r.Panels {
			if x+p.Width > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			cells = append(cells, cell{x, y, p.Width, p.height()})
			x, tallest = x+p.Width, max(tallest, p.height())
		}
		panels = append(panels, cells)
		y += tallest
	}
	return rows, panels
}
