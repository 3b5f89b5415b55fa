package board

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/plot"
)

// chart is the place of a panel's series: times across, values up from 0.
type chart struct {
	x, y plot.Scale // of seconds since from, and of values
	from time.Time
}

func (c chart) px(t time.Time) float64 { return c.x.At(t.Sub(c.from).Seconds()) }

// chart draws lines or stacked areas with axes and limits.
func (p Panel) chart(series []Series, from, to time.Time, width, height float64) string {
	const left, right, top, bottom = 64, 8, 8, 22
	lines := series
	if p.Kind == Stacked {
		lines = stack(series)
	}
	c := chart{from: from, x: plot.Scale{High: to.Sub(from).Seconds(), From: left, To: width - right}, y: p.scale(lines, height-bottom, top)}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`, width, height, width, height)
	for _, t := range p.ticks(c.y) {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			c.x.From, c.x.To, t.At, t.At, c.x.From-6, t.At+4, html.EscapeString(t.Text))
	}
	c.times(&b)
	for n := len(lines) - 1; n >= 0; n-- {
		c.draw(&b, lines[n], colorOf(series[n].Name, n), p.fill(len(lines)))
	}
	for _, l := range p.Limits {
		if l.At <= c.y.High {
			fmt.Fprintf(&b, `<line class="limit %s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, l.Color, c.x.From, c.x.To, c.y.At(l.At), c.y.At(l.At))
		}
	}
	b.WriteString(`</svg>`)
	return b.String()
}

// How opaque areas are: of a stack, of a single line, and of several lines that
// cross.
const (
	stackedFill = 0.62
	singleFill  = 0.10
	crossedFill = 0.03
)

func (p Panel) fill(lines int) float64 {
	switch {
	case p.Kind == Stacked:
		return stackedFill
	case lines > 2:
		return crossedFill
	}
	return singleFill
}

// scale reaches from 0 to a round value above all lines.
func (p Panel) scale(lines []Series, from, to float64) plot.Scale {
	high := 0.0
	for _, s := range lines {
		high = max(high, s.Max())
	}
	if p.Max > 0 && high > p.Max/3 {
		high = p.Max
	}
	if p.Unit == Count && p.Decimals == 0 {
		high = max(high, 4) // whole ticks
	}
	size := p.size(high)
	s := plot.UpTo(high/size, from, to)
	s.High *= size
	return s
}

// size is the unit in which round values are sought: 1024 bytes are one KiB.
func (p Panel) size(high float64) float64 {
	size := 1.0
	for p.Unit == Bytes && high >= 1024*size {
		size *= 1024
	}
	return size
}

// ticks are the marks of the axis up.
func (p Panel) ticks(y plot.Scale) []plot.Tick {
	size := p.size(y.High)
	y.High /= size
	axis := p
	axis.Decimals = 6 // trailing zeros are cut
	return y.Ticks(4, func(v float64) string {
		if v < y.High*1e-9 {
			v = 0
		}
		return axis.Text(v * size)
	})
}

func (c chart) times(b *strings.Builder) {
	ticks := max(2, int((c.x.To-c.x.From)/110))
	for i := range ticks + 1 {
		seconds := c.x.High * float64(i) / float64(ticks)
		anchor := "middle"
		if i == ticks {
			anchor = "end"
		}
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`,
			c.x.At(seconds), c.y.From+18, anchor, c.from.Add(time.Duration(seconds*float64(time.Second))).Format("15:04:05"))
	}
}

// draw draws a line, and below it an area: of a stack down to the line below it,
// which is drawn after it and covers the rest.
func (c chart) draw(b *strings.Builder, s Series, color string, opacity float64) {
	for _, part := range parts(s.Points, c.x.High) {
		var xs, ys []float64
		for _, p := range part {
			xs, ys = append(xs, c.px(p.At)), append(ys, c.y.At(p.Value))
		}
		line := plot.Path(xs, ys)
		area := fmt.Sprintf("%sV%.1fH%.1fZ", line, c.y.From, xs[0])
		if opacity == stackedFill {
			fmt.Fprintf(b, `<path d="%s" fill="#181b1f"/>`, area)
		}
		fmt.Fprintf(b, `<path d="%s" fill="%s" fill-opacity="%.2f"/><path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, area, color, opacity, line, color)
	}
}

// parts divides points where one is missing for more than a twentieth of the
// whole time, in seconds.
func parts(points []Point, whole float64) (all [][]Point) {
	begin := 0
	for i := 1; i <= len(points); i++ {
		if i == len(points) || points[i].At.Sub(points[i-1].At).Seconds() > whole/20 {
			all = append(all, points[begin:i])
			begin = i
		}
	}
	return all
}

// stack adds to each series those before it, at the times of any of them.
func stack(series []Series) []Series {
	below := map[time.Time]float64{}
	stacked := make([]Series, len(series))
	for i, s := range series {
		stacked[i].Name = s.Name
		for _, p := range s.Points {
			below[p.At] += p.Value
			stacked[i].Points = append(stacked[i].Points, Point{p.At, below[p.At]})
		}
	}
	return stacked
}

// spark draws the course of a value, behind a number.
func spark(s Series, color string, width, height float64) string {
	first, last := s.Points[0].At, s.Points[len(s.Points)-1].At
	c := chart{
		from: first, x: plot.Scale{High: max(1, last.Sub(first).Seconds()), To: width},
		y: plot.Scale{High: max(s.Max(), math.SmallestNonzeroFloat64) * 1.1, From: height},
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`, width, height, width, height)
	c.draw(&b, s, color, singleFill)
	b.WriteString(`</svg>`)
	return b.String()
}
