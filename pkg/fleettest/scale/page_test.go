package scale

import (
	_ "embed"
	"html/template"
	"io"
	"math"

	"github.com/scriptfleet/scriptfleet/pkg/plot"
)

var (
	//go:embed page.html
	pageText string

	page = template.Must(template.Must(template.New("page").Funcs(plot.Funcs).Parse(plot.Templates)).Parse(pageText))
)

// write writes the page of a report.
func (r report) write(w io.Writer, limits accountLimits) error {
	return page.Execute(w, struct {
		report
		Style template.CSS
		Plots []*plot.Plot
	}{r, plot.Style, r.plots(limits)})
}

func (r report) plots(limits accountLimits) []*plot.Plot {
	each := sampleEvery.Seconds()
	count := func(of func(counts) int) func(point) float64 {
		return func(t point) float64 { return float64(of(t.Counts)) / each }
	}
	flat := func(v int) func(point) float64 { return func(point) float64 { return float64(v) } }
	return []*plot.Plot{
		r.over("Throughput", "runs a second", plot.Plain, line{"sent", "sent", count(func(c counts) int { return c.Sent })}, line{"results", "results", count(func(c counts) int { return c.Results })}),
		r.waits(),
		r.over("Concurrent executions", "the most of any second", plot.Plain, line{"running", "running", func(t point) float64 { return float64(t.Running) }}, line{"limit", "limit", flat(limits.Concurrency)}),
		r.over("Lambda's control plane", "calls a second", plot.Plain, line{"control", "calls", count(func(c counts) int { return c.Control })}, line{"limit", "limit", flat(limits.Control)}),
		r.over("STS", "calls a second", plot.Plain, line{"sts", "AssumeRole", count(func(c counts) int { return c.STS })}, line{"limit", "limit", flat(limits.STS)}),
		r.over("Messages that wait on the queues", "the most of any second", plot.Plain, line{"backlog", "visible", func(t point) float64 { return float64(t.Backlog) }}),
		r.over("Redis", "round trips a second", plot.Plain, line{"redis", "round trips", count(func(c counts) int { return c.Redis })}),
		r.over("SQS", "requests a second", plot.Plain, line{"sent", "requests", count(func(c counts) int { return c.SQS })}),
	}
}

type line struct {
	class, text string
	of          func(point) float64
}

// over is a plot over time.
func (r report) over(title, note string, text func(float64) string, lines ...line) *plot.Plot {
	p, x, at := r.time(title, note)
	var all []plot.Series
	most := 0.0
	for _, l := range lines {
		s := plot.Series{Class: l.class, Text: l.text}
		for _, t := range r.Points {
			s.Values = append(s.Values, l.of(t))
		}
		all, most = append(all, s), max(most, plot.Highest(s.Values))
	}
	y := plot.UpTo(most, plot.Bottom, plot.Top)
	p.Up = y.Ticks(4, text)
	for _, s := range all {
		p.Line(s, x, y, at)
	}
	return p
}

// waits is a plot of the waits, on a logarithmic scale.
func (r report) waits() *plot.Plot {
	p, x, at := r.time("Wait until a script starts", "p99 of each ten seconds")
	quietly, noisily := plot.Series{Class: "quiet", Text: string(ofQuiet)}, plot.Series{Class: "noisy", Text: string(ofNoisy)}
	known := func(v float64) float64 {
		if v == 0 {
			return math.NaN()
		}
		return v
	}
	for _, t := range r.Points {
		quietly.Values, noisily.Values = append(quietly.Values, known(t.QuietP99)), append(noisily.Values, known(t.NoisyP99))
	}
	y := plot.Decades(min(plot.Lowest(quietly.Values), plot.Lowest(noisily.Values)), plot.Highest(quietly.Values, noisily.Values), plot.Bottom, plot.Top)
	p.Up = y.Ticks(4, plot.Short)
	p.Line(quietly, x, y, at)
	p.Line(noisily, x, y, at)
	return p
}

func (r report) time(title, note string) (p *plot.Plot, x plot.Scale, at []float64) {
	p = plot.New(title, note)
	x = plot.Scale{High: float64(len(r.Points)) * sampleEvery.Seconds(), From: plot.Left, To: plot.Right}
	p.Across = x.Times(6)
	for _, t := range r.Points {
		at = append(at, t.Seconds+sampleEvery.Seconds()/2)
	}
	return p, x, at
}
