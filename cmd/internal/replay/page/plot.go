package page

import (
	"fmt"
	"math"
	"strings"
)

// The size of a plot in its own units, and the frame of its axes.
const (
	width, height            = 620.0, 250.0
	left, right, top, bottom = 58.0, 606.0, 12.0, 218.0
)

// plot is a picture with two axes. A series' name is its colour's class too.
type plot struct {
	Title, Note   string
	Wide          bool // over both columns
	Across, Up    []tick
	AcrossOf      string // what the axis across is about
	Bands         []shape
	Lines         []shape
	Bars          []box
	Dots          []dot
	Legend        []key
	Hover         []box // columns that tell their values
	Width, Height float64
	Left, Right   float64
	Top, Bottom   float64
}

type shape struct {
	Class string
	Path  string
	Old   bool // of the report that this one is compared with
}

type box struct {
	Class      string
	X, Y, W, H float64
	Title      string
}

type dot struct {
	Class   string
	X, Y, R float64
	Title   string
}

type key struct{ Class, Text string }

func newPlot(title, note string) *plot {
	return &plot{
		Title: title, Note: note, Width: width, Height: height,
		Left: left, Right: right, Top: top, Bottom: bottom,
	}
}

// series is a line of a plot.
type series struct {
	class, text string
	values      []float64
}

// path is a line through points, with a gap where one has no place. A point
// between two gaps is a dot.
func path(xs, ys []float64) string {
	var b strings.Builder
	drawing := false
	for i := range xs {
		switch {
		case math.IsNaN(ys[i]):
			drawing = false
		case drawing:
			fmt.Fprintf(&b, "L%.1f,%.1f", xs[i], ys[i])
		default:
			fmt.Fprintf(&b, "M%.1f,%.1fh0", xs[i], ys[i])
			drawing = true
		}
	}
	return b.String()
}

// band is the area between two lines.
func band(xs, low, high []float64) string {
	var b strings.Builder
	b.WriteString(path(xs, high))
	for i := len(xs) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "L%.1f,%.1f", xs[i], low[i])
	}
	b.WriteByte('Z')
	return b.String()
}

// line adds a series to the plot.
func (p *plot) line(s series, x, y scale, at []float64) {
	p.Lines = append(p.Lines, shape{Class: s.class, Path: path(places(x, at), places(y, s.values))})
	p.Legend = append(p.Legend, key{s.class, s.text})
}

// stack adds series one above the other.
func (p *plot) stack(all []series, x, y scale, at []float64) {
	xs := places(x, at)
	below := make([]float64, len(at))
	for _, s := range all {
		above := make([]float64, len(at))
		for i := range at {
			above[i] = below[i] + s.values[i]
		}
		p.Bands = append(p.Bands, shape{Class: s.class, Path: band(xs, places(y, below), places(y, above))})
		p.Legend = append(p.Legend, key{s.class, s.text})
		below = above
	}
}

func places(s scale, values []float64) []float64 {
	at := make([]float64, len(values))
	for i, v := range values {
		at[i] = s.at(v)
	}
	return at
}
