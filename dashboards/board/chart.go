package board

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// plot is the area of a chart: times and values to pixels.
type plot struct {
	x, y, w, h float64
	from, to   time.Time
	top        float64 // the value at the upper edge; the lower edge is 0
}

func (c plot) px(t time.Time) float64 {
	return c.x + c.w*float64(t.Sub(c.from))/float64(max(1, c.to.Sub(c.from)))
}

func (c plot) py(v float64) float64 { return c.y + c.h*(1-max(0, min(v, c.top))/c.top) }

// chart draws lines or stacked areas with axes and limits.
func (p Panel) chart(series []Series, from, to time.Time, width, height float64) string {
	lines := series
	if p.Kind == Stacked {
		lines = stack(series)
	}
	ceiling, step := p.ceiling(lines)
	c := plot{x: 64, y: 8, w: width - 72, h: height - 30, from: from, to: to, top: ceiling}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`, width, height, width, height)
	for v := 0.0; v <= c.top*1.0001; v += step {
		y := c.py(v)
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			c.x, c.x+c.w, y, y, c.x-6, y+4, html.EscapeString(p.tick(v, step)))
	}
	c.times(&b)
	for n := len(lines) - 1; n >= 0; n-- {
		c.draw(&b, lines[n], colorOf(series[n].Name, n), p.fill(len(lines)))
	}
	for _, l := range p.Limits {
		if l.At <= c.top {
			y := c.py(l.At)
			fmt.Fprintf(&b, `<line class="limit %s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, l.Color, c.x, c.x+c.w, y, y)
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

// ceiling is the value of the upper edge, and the step of the ticks: of 1, 2 or
// 5 times a power of ten.
func (p Panel) ceiling(lines []Series) (top, step float64) {
	for _, s := range lines {
		top = max(top, s.Max())
	}
	if p.Max > 0 && top > p.Max/3 {
		top = p.Max
	}
	if top <= 0 {
		top = 1
	}
	scale := 1.0
	for p.Unit == Bytes && top >= 1024 {
		top, scale = top/1024, scale*1024
	}
	step = math.Pow(10, math.Floor(math.Log10(top/2)))
	for _, by := range []float64{2, 2.5, 2} {
		if top/step <= 5 {
			break
		}
		step *= by
	}
	if p.Unit == Count && p.Decimals == 0 {
		step = max(step, 1)
	}
	return math.Ceil(top/step-1e-9) * step * scale, step * scale
}

// tick writes a value of the axis, with as many decimals as its step needs.
func (p Panel) tick(v, step float64) string {
	axis := p
	switch p.Unit {
	case Share:
		step *= 100
	case Bytes:
		step = 1
	}
	axis.Decimals = int(max(0, -math.Floor(math.Log10(step)+1e-9)))
	return axis.Text(v)
}

func (c plot) times(b *strings.Builder) {
	ticks := max(2, int(c.w/110))
	for i := range ticks + 1 {
		at := c.from.Add(c.to.Sub(c.from) * time.Duration(i) / time.Duration(ticks))
		anchor := "middle"
		if i == ticks {
			anchor = "end"
		}
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, c.px(at), c.y+c.h+18, anchor, at.Format("15:04:05"))
	}
}

// draw draws a line, and below it an area: of a stack down to the line below it,
// which is drawn after it and covers the rest.
func (c plot) draw(b *strings.Builder, s Series, color string, opacity float64) {
	cover := ""
	if opacity == stackedFill {
		cover = `<path d="%s" fill="#181b1f"/>`
	}
	for _, part := range parts(s.Points, c.to.Sub(c.from)) {
		var line strings.Builder
		for i, p := range part {
			fmt.Fprintf(&line, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], c.px(p.At), c.py(p.Value))
		}
		area := fmt.Sprintf("%sL%.1f %.1fL%.1f %.1fZ", line.String(), c.px(part[len(part)-1].At), c.y+c.h, c.px(part[0].At), c.y+c.h)
		if cover != "" {
			fmt.Fprintf(b, cover, area)
		}
		fmt.Fprintf(b, `<path d="%s" fill="%s" fill-opacity="%.2f"/><path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, area, color, opacity, line.String(), color)
	}
}

// parts divides points where one is missing for more than a twentieth of the
// time.
func parts(points []Point, whole time.Duration) (all [][]Point) {
	begin := 0
	for i := 1; i <= len(points); i++ {
		if i == len(points) || points[i].At.Sub(points[i-1].At) > whole/20 {
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
	c := plot{w: width, h: height, from: s.Points[0].At, to: s.Points[len(s.Points)-1].At, top: max(s.Max()*1.1, 1e-9)}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`, width, height, width, height)
	c.draw(&b, s, color, singleFill)
	b.WriteString(`</svg>`)
	return b.String()
}
