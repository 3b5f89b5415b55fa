package page

import (
	"fmt"
	"math"
	"strconv"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/plot"
)

// distribution shows the percentiles of the latency and of each stage, with the
// axis stretched towards 100 % where the slow runs are.
func distribution(r replay.Report, old *replay.Report) *plot.Plot {
	note := "how many runs were at least that quick"
	if old != nil {
		note += "; dashed: " + old.Label
	}
	p := plot.New("Distribution of the latency", note)
	p.Wide, p.Width, p.Height, p.Right, p.Bottom = true, 1280, 330, 1266, 298
	names := []stage{{"latency", "all of it"}}
	for _, s := range shown {
		if r.Stages[s.name].Max > 0 {
			names = append(names, s)
		}
	}
	most, last := 1.0, 90.0
	for _, from := range []*replay.Report{&r, old} {
		if from == nil {
			continue
		}
		for _, s := range names {
			for _, m := range from.Distributions[s.name] {
				most = max(most, m.MS)
				if m.Percent < 100 {
					last = max(last, m.Percent)
				}
			}
		}
	}
	x := plot.Scale{High: nines(last) * 1.08, From: p.Left, To: p.Right}
	y := plot.Decades(1, most, p.Bottom, p.Top)
	p.Up = y.Ticks(4, plot.Short)
	for _, percent := range []float64{0, 50, 90, 99, 99.9, 99.99} {
		if percent <= last {
			p.Across = append(p.Across, plot.Tick{At: x.At(nines(percent)), Text: strconv.FormatFloat(percent, 'g', -1, 64) + " %"})
		}
	}
	draw := func(from *replay.Report, s stage, isOld bool) {
		var xs, ys []float64
		for _, m := range from.Distributions[s.name] {
			xs = append(xs, x.At(nines(min(m.Percent, 100))))
			ys = append(ys, y.At(max(m.MS, 1)))
			p.Dots = append(p.Dots, plot.Dot{Class: "unseen", X: xs[len(xs)-1], Y: ys[len(ys)-1], R: 5, Title: fmt.Sprintf("%s p%g: %s", s.text, m.Percent, plot.Short(m.MS))})
		}
		p.Lines = append(p.Lines, plot.Shape{Class: s.name, Path: plot.Path(xs, ys), Old: isOld})
	}
	for i := len(names) - 1; i >= 0; i-- {
		draw(&r, names[i], false)
	}
	if old != nil {
		draw(old, names[0], true)
	}
	for _, s := range names {
		p.Legend = append(p.Legend, plot.Key{Class: s.name, Text: s.text})
	}
	return p
}

// nines is 1 at 90 %, 2 at 99 %, 3 at 99.9 %, and so on.
func nines(percent float64) float64 {
	if percent >= 100 {
		return math.Inf(1)
	}
	return -math.Log10(1 - percent/100)
}

// waits shows whether tenants with many runs make those with few wait.
func waits(r replay.Report) *plot.Plot {
	p := plot.New("Waits of tenants", "p99 of the wait before a script ran; a dot is a tenant")
	p.AcrossOf = "runs of the tenant"
	var runs, wait []float64
	for _, t := range r.Tenants {
		runs, wait = append(runs, float64(t.Runs)), append(wait, t.WaitP99)
	}
	x, y := plot.Decades(plot.Lowest(runs), plot.Highest(runs), plot.Left+8, plot.Right-8), plot.Decades(plot.Lowest(wait), plot.Highest(wait), plot.Bottom, plot.Top)
	p.Across, p.Up = x.Ticks(5, plot.Plain), y.Ticks(4, plot.Short)
	for _, t := range r.Tenants {
		p.Dots = append(p.Dots, plot.Dot{Class: "tenant", X: x.At(float64(t.Runs)), Y: y.At(t.WaitP99), R: 3.2,
			Title: fmt.Sprintf("%s: %s runs\nwait p50 %s, p99 %s\nlatency p99 %s", t.Tenant, plot.Grouped(float64(t.Runs)), plot.Short(t.WaitP50), plot.Short(t.WaitP99), plot.Short(t.LatencyP99))})
	}
	return p
}

// busiest is the number of tenants that the plot of their stages shows.
const busiest = 12

// shares shows where the time of the busiest tenants went.
func shares(r replay.Report) *plot.Plot {
	p := plot.New("Where the time of the busiest tenants went", "mean of each stage of a run")
	tenants := r.Tenants[:min(busiest, len(r.Tenants))]
	most := 0.0
	used := map[string]bool{}
	for _, t := range tenants {
		sum := 0.0
		for _, s := range shown {
			sum += t.Stages[s.name].Mean
			used[s.name] = used[s.name] || t.Stages[s.name].Mean > 0
		}
		most = max(most, sum)
	}
	const names = 150.0
	p.Left = names
	x := plot.UpTo(most, names, plot.Right)
	p.Across = x.Ticks(5, plot.Short)
	row := (plot.Bottom - plot.Top) / float64(max(len(tenants), 1))
	for i, t := range tenants {
		y := plot.Top + row*float64(i)
		p.Up = append(p.Up, plot.Tick{At: y + row/2, Text: t.Tenant})
		at := 0.0
		for _, s := range shown {
			mean := t.Stages[s.name].Mean
			if mean > 0 {
				p.Bars = append(p.Bars, plot.Box{Class: s.name, X: x.At(at), Y: y + row*0.15, W: x.At(at+mean) - x.At(at), H: row * 0.7,
					Title: fmt.Sprintf("%s, %s: %s", t.Tenant, s.text, plot.Short(mean))})
			}
			at += mean
		}
	}
	for _, s := range shown {
		if used[s.name] {
			p.Legend = append(p.Legend, plot.Key{Class: s.name, Text: s.text})
		}
	}
	return p
}
