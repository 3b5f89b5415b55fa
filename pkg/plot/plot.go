// Package plot draws plots as SVG in pages that fetch nothing and run no script:
// the page of a replay, and that of a simulated fleet. A page parses [Templates]
// with its own template, puts [Style] into its style sheet, and draws each Plot
// by {{template "figure" .}}. The class of a series names its colour; the page's
// style sheet says which.
package plot

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"
)

var (
	// Style is the style sheet of the page and of its plots, with the colours as
	// variables: --blue, --sky, --orange, --red, --rose, --green, --violet,
	// --grey and --gold.
	//
	//go:embed plot.css
	style string
	Style = template.CSS(style) // #nosec G203 -- it is a file of this package

	// Templates define "figure" and "plot", which take a *Plot.
	//
	//go:embed plot.html
	Templates string

	// Funcs are what Templates need, and formats of numbers.
	Funcs = template.FuncMap{
		"px":      func(v float64) string { return fmt.Sprintf("%.1f", v) },
		"short":   Short,
		"grouped": func(n int) string { return Grouped(float64(n)) },
	}
)

// The size of a plot, and the frame of its axes, in its own units.
const (
	width, height            = 620.0, 250.0
	Left, Right, Top, Bottom = 58.0, 606.0, 12.0, 218.0
)

// Plot is a picture with two axes. All places are in its own units.
type Plot struct {
	Title, Note   string
	Wide          bool // over all columns of the page
	Across, Up    []Tick
	AcrossOf      string // what the axis across is about
	Bands         []Shape
	Lines         []Shape
	Bars          []Box
	Dots          []Dot
	Legend        []Key
	Hover         []Box // columns that tell their values
	Width, Height float64
	Left, Right   float64
	Top, Bottom   float64
}

// Shape is a line or an area.
type Shape struct {
	Class string
	Path  string
	Old   bool // dashed: of what the others are compared with
}

// Box is a bar, or a place that shows its title on hover.
type Box struct {
	Class      string
	X, Y, W, H float64
	Title      string
}

// Dot is a point with a title.
type Dot struct {
	Class   string
	X, Y, R float64
	Title   string
}

// Key is an entry of the legend.
type Key struct{ Class, Text string }

// New returns an empty plot of half a page's width.
func New(title, note string) *Plot {
	return &Plot{
		Title: title, Note: note, Width: width, Height: height,
		Left: Left, Right: Right, Top: Top, Bottom: Bottom,
	}
}

// Series is a line of a plot.
type Series struct {
	Class, Text string
	Values      []float64 // NaN where there is none
}

// Path is a line through points, with a gap where one has no place. A point
// between two gaps is a dot.
func Path(xs, ys []float64) string {
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

// Area is what is between the line of Path and a base, part by part.
func Area(xs, ys []float64, base float64) string {
	var b strings.Builder
	last := math.NaN() // x of the part that is being drawn
	end := func() {
		if !math.IsNaN(last) {
			fmt.Fprintf(&b, "L%.1f,%.1fZ", last, base)
		}
		last = math.NaN()
	}
	for i := range xs {
		switch {
		case math.IsNaN(ys[i]):
			end()
			continue
		case math.IsNaN(last):
			fmt.Fprintf(&b, "M%.1f,%.1f", xs[i], base)
		}
		fmt.Fprintf(&b, "L%.1f,%.1f", xs[i], ys[i])
		last = xs[i]
	}
	end()
	return b.String()
}

// band is the area between two lines.
func band(xs, low, high []float64) string {
	var b strings.Builder
	b.WriteString(Path(xs, high))
	for i := len(xs) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "L%.1f,%.1f", xs[i], low[i])
	}
	b.WriteByte('Z')
	return b.String()
}

// Line adds a Series to the plot.
func (p *Plot) Line(s Series, x, y Scale, at []float64) {
	p.Lines = append(p.Lines, Shape{Class: s.Class, Path: Path(places(x, at), places(y, s.Values))})
	p.Legend = append(p.Legend, Key{s.Class, s.Text})
}

// Stack adds Series one above the other.
func (p *Plot) Stack(all []Series, x, y Scale, at []float64) {
	xs := places(x, at)
	below := make([]float64, len(at))
	for _, s := range all {
		above := make([]float64, len(at))
		for i := range at {
			above[i] = below[i] + s.Values[i]
		}
		p.Bands = append(p.Bands, Shape{Class: s.Class, Path: band(xs, places(y, below), places(y, above))})
		p.Legend = append(p.Legend, Key{s.Class, s.Text})
		below = above
	}
}

func places(s Scale, values []float64) []float64 {
	at := make([]float64, len(values))
	for i, v := range values {
		at[i] = s.At(v)
	}
	return at
}
