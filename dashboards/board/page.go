package board

import (
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed page.css
var style string

// Shown is a dashboard with what its panels show.
type Shown struct {
	Dashboard
	From, To time.Time
	Series   func(Panel) []Series
	Note     string // where the values come from
	// At is the time of what bars show.
	At     time.Time
	Pages  map[string]string // the other dashboards: their titles by the names of their pages
	Values map[string]string // of the variables
}

// The page's measures in pixels, as wide as Grafana's on a common screen.
const (
	pageWidth = 1600
	gap       = 8
	unitHigh  = 30
	unitWide  = (pageWidth - 2*gap - (columns-1)*gap) / float64(columns)
	padding   = 12
	// legendRows is how many series a column of a legend names, in two columns
	// if there are more.
	legendRows = 5
	legendHigh = 18
)

func (c cell) width() float64  { return float64(c.W)*(unitWide+gap) - gap }
func (c cell) height() float64 { return float64(c.H)*(unitHigh+gap) - gap }

// Page is the dashboard as one file that needs nothing else. Panels lie where
// Grafana puts them.
func (s Shown) Page() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>%s</title><style>%s</style></head><body><header><h1>%s</h1><p>%s</p><nav>`,
		html.EscapeString(s.Title), style, html.EscapeString(s.Title), html.EscapeString(s.Description))
	for _, name := range slices.Sorted(maps.Keys(s.Pages)) {
		fmt.Fprintf(&b, `<a href="%s">%s</a>`, html.EscapeString(name), html.EscapeString(s.Pages[name]))
	}
	fmt.Fprintf(&b, `<a href="%s">Runbook</a></nav><p class="note">%s · %s to %s UTC; bars are of %s</p>`,
		Runbook, html.EscapeString(s.Note), s.From.UTC().Format(time.DateTime), s.To.UTC().Format("15:04:05"), s.At.UTC().Format("15:04:05"))
	s.variablesShown(&b)
	b.WriteString(`</header><main>`)
	rows, cells := s.layout()
	for i, r := range s.Rows {
		fmt.Fprintf(&b, `<h2 style="%s">%s</h2>`, rows[i].place(), html.EscapeString(s.fill(r.Title)))
		for j, p := range r.Panels {
			s.panel(&b, p, cells[i][j])
		}
	}
	b.WriteString(`</main></body></html>`)
	return []byte(b.String())
}

func (s Shown) variablesShown(b *strings.Builder) {
	if len(s.Variables) == 0 {
		return
	}
	b.WriteString(`<p class="variables">`)
	for _, v := range s.Variables {
		fmt.Fprintf(b, `<span title="%s">%s <b>%s</b></span>`, html.EscapeString(v.Description), html.EscapeString(v.Label), html.EscapeString(s.Values[v.Name]))
	}
	b.WriteString(`</p>`)
}

// fill puts the values of variables into a title.
func (s Shown) fill(title string) string {
	for _, v := range s.Variables {
		title = strings.ReplaceAll(title, "$"+v.Name, s.Values[v.Name])
	}
	return title
}

// place is the style of a cell of the page's grid.
func (c cell) place() string {
	return fmt.Sprintf("grid-column:%d/span %d;grid-row:%d/span %d", c.X+1, c.W, c.Y+1, c.H)
}

func (s Shown) panel(b *strings.Builder, p Panel, c cell) {
	fmt.Fprintf(b, `<section class="%s" style="%s" title="%s"><h3>%s`, p.Kind, c.place(), html.EscapeString(p.Description), html.EscapeString(p.Title))
	if p.Alert != "" {
		fmt.Fprintf(b, ` <a class="alert" href="%s#%s" title="Runbook: %s">%s</a>`, Runbook, strings.ToLower(p.Alert), p.Alert, map[bool]string{true: "↗", false: "runbook ↗"}[p.Kind == Stat])
	}
	b.WriteString(`</h3>`)
	if p.Kind != Stat {
		fmt.Fprintf(b, `<p class="says">%s</p>`, html.EscapeString(p.Description))
	}
	series := slices.DeleteFunc(s.Series(p), func(s Series) bool { return len(s.Points) == 0 })
	inner := c.width() - 2*padding
	switch {
	case len(series) == 0:
		b.WriteString(`<p class="empty">No data</p>`)
	case p.Kind == Stat:
		color := p.shade(series[0].Last())
		fmt.Fprintf(b, `<p class="value" style="color:%s">%s</p>%s`, color, html.EscapeString(p.Text(series[0].Last())), spark(series[0], color, inner, c.height()-92))
	case p.Kind == Bars:
		p.bars(b, series)
	default:
		named := len(legendOf(series))
		rows := min(named, legendRows)
		if named < len(series) {
			rows = min(named+1, legendRows+1)
		}
		b.WriteString(p.chart(series, s.From, s.To, inner, c.height()-float64(94+legendHigh*rows)))
		p.legend(b, series)
	}
	b.WriteString(`</section>`)
}

// shades are the colours of limits on the page.
var shades = map[string]string{"green": "#73bf69", Warn: "#ff9830", Bad: "#f2495c"}

// shade is the colour of a value by the limits.
func (p Panel) shade(v float64) string {
	n := 0
	for _, l := range p.Limits {
		if v >= l.At {
			n++
		}
	}
	return shades[p.color(n, n == 0)]
}

func (p Panel) bars(b *strings.Builder, series []Series) {
	slices.SortStableFunc(series, func(x, y Series) int { return cmp.Compare(y.Last(), x.Last()) })
	most := p.Max
	if most == 0 {
		most = max(series[0].Last(), 1e-9)
	}
	b.WriteString(`<div class="rows">`)
	for _, s := range series[:min(len(series), 10)] {
		color := p.shade(s.Last())
		fmt.Fprintf(b, `<span>%s</span><i><b style="width:%.1f%%;background:%s"></b></i><em style="color:%s">%s</em>`,
			html.EscapeString(s.Name), 100*max(0, min(1, s.Last()/most)), color, color, html.EscapeString(p.Text(s.Last())))
	}
	b.WriteString(`</div>`)
}

// legendOf are the series that a legend names, by their highest values: without
// those that are zero, if others are not, and no more than there is room for.
func legendOf(series []Series) (order []int) {
	for i := range series {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(series[y].Max(), series[x].Max()) })
	if zero := slices.IndexFunc(order, func(i int) bool { return series[i].Max() == 0 }); zero > 0 {
		order = order[:zero]
	}
	if len(order) > 0 && series[order[0]].Max() == 0 {
		return order[:min(len(order), legendRows)]
	}
	return order[:min(len(order), 2*legendRows)]
}

// legend is a table of the series.
func (p Panel) legend(b *strings.Builder, series []Series) {
	shown := legendOf(series)
	hidden, least := len(series)-len(shown), series[shown[len(shown)-1]].Max()
	b.WriteString(`<div class="legends">`)
	for len(shown) > 0 {
		n := min(legendRows, len(shown))
		b.WriteString(`<table><tr><th></th><th>last</th><th>max</th></tr>`)
		for _, i := range shown[:n] {
			fmt.Fprintf(b, `<tr><td><i style="background:%s"></i>%s</td><td>%s</td><td>%s</td></tr>`, colorOf(series[i].Name, i),
				html.EscapeString(series[i].Name), html.EscapeString(p.Text(series[i].Last())), html.EscapeString(p.Text(series[i].Max())))
		}
		b.WriteString(`</table>`)
		shown = shown[n:]
	}
	b.WriteString(`</div>`)
	if hidden > 0 {
		what := "of at most " + p.Text(least)
		if len(shown) < 2*legendRows {
			what = "at 0"
		}
		fmt.Fprintf(b, `<p class="more">and %d more %s</p>`, hidden, what)
	}
}

// Height is the height of a page in pixels, that of its last row.
func (s Shown) Height() int {
	_, cells := s.layout()
	last := cells[len(cells)-1]
	bottom := last[len(last)-1]
	return 190 + (bottom.Y+bottom.H)*(unitHigh+gap)
}
