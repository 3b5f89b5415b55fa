package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// plot is a small picture of a figure over the last hour.
type plot struct {
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

func newPlot(title, unit, link string, all []*sample, format func(float64) string, lines ...series) plot {
	p := plot{Title: title, Unit: unit, Link: link, From: "now"}
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
	for _, l := range lines {
		line := plotLine{Name: l.name, Class: l.class, Now: "–", Most: format(most)}
		var d, area strings.Builder
		drawing, from, x := false, 0.0, 0.0
		gap := func() { // of a part without a gap
			if drawing {
				fmt.Fprintf(&area, "L%.1f,%.1fL%.1f,%.1fZ", x, plotHeight, from, plotHeight)
			}
			drawing = false
		}
		for _, s := range all {
			v, ok := l.value(s)
			if !ok {
				gap()
				continue
			}
			line.Now = format(v)
			x = plotWidth * (1 - end.Sub(s.at).Seconds()/span.Seconds())
			y := plotHeight - 2
			if most > 0 {
				y -= (plotHeight - 6) * v / most
			}
			if drawing {
				fmt.Fprintf(&d, "L%.1f,%.1f", x, y)
			} else {
				drawing, from = true, x
				fmt.Fprintf(&d, "M%.1f,%.1fh.1", x, y)
				fmt.Fprintf(&area, "M%.1f,%.1f", x, plotHeight)
			}
			fmt.Fprintf(&area, "L%.1f,%.1f", x, y)
		}
		gap()
		line.Path, line.Area = template.HTMLAttr(`d="`+d.String()+`"`), template.HTMLAttr(`d="`+area.String()+`"`)
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
