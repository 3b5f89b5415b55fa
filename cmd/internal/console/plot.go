package console

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/plot"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// smallPlot is a small picture of a figure over the last hour.
type smallPlot struct {
	Title, Unit string
	Lines       []plotLine
	From        string // how long ago the plot begins
	Link        string // where the figure's runs are
}

type plotLine struct {
	Name, Class string
	Now         string
	Path        template.HTMLAttr // d="…": digits, letters and commas alone
	Area        template.HTMLAttr
	Most        string
}

// The size of a plot in its own units.
const (
	plotWidth, plotHeight = 280.0, 56.0
	plotShortest          = 10 * time.Minute
)

// series is a line of a plot; its value is not drawn where ok is false.
type series struct {
	name, class string
	value       func(*sample) (v float64, ok bool)
}

func newPlot(title, unit, link string, all []*sample, format func(float64) string, lines ...series) smallPlot {
	p := smallPlot{Title: title, Unit: unit, Link: link, From: "now"}
	if len(all) == 0 {
		return p
	}
	end := all[len(all)-1].at
	span := max(plotShortest, end.Sub(all[0].at))
	p.From = fmt.Sprintf("%d min ago", int(span.Round(time.Minute).Minutes()))
	most := 0.0
	for _, l := range lines {
		for _, s := range all {
			if v, ok := l.value(s); ok {
				most = max(most, v)
			}
		}
	}
	x := plot.Scale{Low: -span.Seconds(), From: 0, To: plotWidth}
	y := plot.Scale{High: most, From: plotHeight - 2, To: 4}
	for _, l := range lines {
		line := plotLine{Name: l.name, Class: l.class, Now: "–", Most: format(most)}
		xs, ys := make([]float64, len(all)), make([]float64, len(all))
		for i, s := range all {
			xs[i], ys[i] = x.At(s.at.Sub(end).Seconds()), math.NaN()
			if v, ok := l.value(s); ok {
				line.Now, ys[i] = format(v), y.At(v)
			}
		}
		line.Path = template.HTMLAttr(`d="` + plot.Path(xs, ys) + `"`)
		line.Area = template.HTMLAttr(`d="` + plot.Area(xs, ys, plotHeight) + `"`)
		p.Lines = append(p.Lines, line)
	}
	return p
}

// segment is a stage in a run's time bar.
type segment struct {
	Name, Class string
	X, Width    float64 // of 1000
	MS          int64
}

// timeBar are the stages of a run that took time, one after the other.
func timeBar(t *run.Timings) (all []segment) {
	if t == nil {
		return nil
	}
	x := 0.0
	for _, s := range stages {
		n := s.of(*t)
		if s.name == "total" || n == 0 {
			continue
		}
		width := 1000 * float64(n) / float64(max(t.Total, 1))
		all = append(all, segment{s.name, strings.ReplaceAll(s.name, " ", "-"), x, width, n})
		x += width
	}
	return all
}
