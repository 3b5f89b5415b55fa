package page

import (
	"fmt"
	"math"
	"strings"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/plot"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// stage is a stage of a run, as it is shown.
type stage struct{ name, text string }

// shown are the stages in the order of a run's life.
var shown = []stage{
	{"transit", "transit"}, {"intake", "intake"}, {"queue", "queue"}, {"build_wait", "waits for a build"}, {"build", "builds"},
	{"init", "init"}, {"execute", "execute"}, {"publish", "publish"},
}

// over are the plots over time.
type over struct {
	line replay.Timeline
	at   []float64 // the middles of the intervals, in seconds
	x    plot.Scale
}

func newOver(line replay.Timeline) over {
	o := over{line: line, x: plot.Scale{High: float64(len(line.Points)) * line.IntervalSeconds, From: plot.Left, To: plot.Right}}
	for _, p := range line.Points {
		o.at = append(o.at, p.Seconds+line.IntervalSeconds/2)
	}
	return o
}

func (o over) values(of func(replay.Point) float64) []float64 {
	all := make([]float64, len(o.line.Points))
	for i, p := range o.line.Points {
		all[i] = of(p)
	}
	return all
}

func (o over) plots() []*plot.Plot {
	return []*plot.Plot{o.throughput(), o.backlog(), o.latency(), o.stages(), o.stageTails(), o.builds()}
}

// plot is a plot over time; tell are an interval's values.
func (o over) plot(title, note string, y plot.Scale, text func(float64) string, tell func(replay.Point) []string) *plot.Plot {
	p := plot.New(title, note)
	p.Up = y.Ticks(4, text)
	p.Across = o.x.Times(6)
	for _, t := range o.line.Points {
		from, to := o.x.At(t.Seconds), o.x.At(t.Seconds+o.line.IntervalSeconds)
		p.Hover = append(p.Hover, plot.Box{X: from, Y: plot.Top, W: to - from, H: plot.Bottom - plot.Top, Title: "from " + plot.Clock(t.Seconds) + "\n" + strings.Join(tell(t), "\n")})
	}
	return p
}

func (o over) throughput() *plot.Plot {
	sent := o.values(func(p replay.Point) float64 { return float64(p.Sent) / o.line.IntervalSeconds })
	results := o.values(func(p replay.Point) float64 { return float64(p.Results) / o.line.IntervalSeconds })
	y := plot.UpTo(plot.Highest(sent, results), plot.Bottom, plot.Top)
	p := o.plot("Throughput", "runs a second", y, plot.Plain, func(t replay.Point) []string {
		return []string{fmt.Sprintf("%s sent", plot.Plain(float64(t.Sent)/o.line.IntervalSeconds)), fmt.Sprintf("%s results", plot.Plain(float64(t.Results)/o.line.IntervalSeconds))}
	})
	p.Line(plot.Series{Class: "sent", Text: "sent", Values: sent}, o.x, y, o.at)
	p.Line(plot.Series{Class: "results", Text: "results", Values: results}, o.x, y, o.at)
	return p
}

func (o over) backlog() *plot.Plot {
	open := o.values(func(p replay.Point) float64 { return float64(p.Backlog) })
	y := plot.UpTo(plot.Highest(open), plot.Bottom, plot.Top)
	p := o.plot("Backlog", "runs sent and not answered", y, plot.Plain, func(t replay.Point) []string { return []string{plot.Plain(float64(t.Backlog)) + " open"} })
	p.Stack([]plot.Series{{Class: "backlog", Text: "open runs", Values: open}}, o.x, y, o.at)
	return p
}

func (o over) latency() *plot.Plot {
	of := func(figure func(replay.Brief) float64) []float64 {
		return o.values(func(p replay.Point) float64 { return known(p, figure(p.Latency)) })
	}
	p50, p99 := of(func(b replay.Brief) float64 { return b.P50 }), of(func(b replay.Brief) float64 { return b.P99 })
	most := of(func(b replay.Brief) float64 { return b.Max })
	y := plot.Decades(plot.Lowest(p50), plot.Highest(most), plot.Bottom, plot.Top)
	p := o.plot("Latency", "from due to result, by when a run was due", y, plot.Short, func(t replay.Point) []string {
		return []string{"p50 " + plot.Short(t.Latency.P50), "p99 " + plot.Short(t.Latency.P99), "max " + plot.Short(t.Latency.Max)}
	})
	p.Line(plot.Series{Class: "max", Text: "max", Values: most}, o.x, y, o.at)
	p.Line(plot.Series{Class: "p99", Text: "p99", Values: p99}, o.x, y, o.at)
	p.Line(plot.Series{Class: "p50", Text: "p50", Values: p50}, o.x, y, o.at)
	return p
}

// used are the stages on which any run spent time.
func (o over) used() (all []stage) {
	for _, s := range shown {
		if plot.Highest(o.stage(s, func(b replay.Brief) float64 { return b.Max })) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func (o over) stage(s stage, figure func(replay.Brief) float64) []float64 {
	return o.values(func(p replay.Point) float64 { return figure(p.Stages[s.name]) })
}

// known is v, or no number where no run was due.
func known(p replay.Point, v float64) float64 {
	if p.Latency.Max == 0 {
		return math.NaN()
	}
	return v
}

func (o over) stages() *plot.Plot {
	mean := func(b replay.Brief) float64 { return b.Mean }
	var all []plot.Series
	sums := make([]float64, len(o.at))
	for _, s := range o.used() {
		values := o.stage(s, mean)
		all = append(all, plot.Series{Class: s.name, Text: s.text, Values: values})
		for i, v := range values {
			sums[i] += v
		}
	}
	y := plot.UpTo(plot.Highest(sums), plot.Bottom, plot.Top)
	p := o.plot("Where the time went", "mean of each stage, stacked", y, plot.Short, o.tell(mean))
	p.Stack(all, o.x, y, o.at)
	return p
}

func (o over) stageTails() *plot.Plot {
	p99 := func(b replay.Brief) float64 { return b.P99 }
	var all []plot.Series
	most := 1.0
	for _, s := range o.used() {
		values := o.stage(s, p99)
		most = max(most, plot.Highest(values))
		for i, p := range o.line.Points {
			values[i] = known(p, values[i])
		}
		all = append(all, plot.Series{Class: s.name, Text: s.text, Values: values})
	}
	y := plot.Decades(1, most, plot.Bottom, plot.Top)
	p := o.plot("The slowest runs of each stage", "p99 of each stage", y, plot.Short, o.tell(p99))
	for _, s := range all {
		p.Line(s, o.x, y, o.at)
	}
	return p
}

func (o over) tell(figure func(replay.Brief) float64) func(replay.Point) []string {
	return func(t replay.Point) (lines []string) {
		for _, s := range o.used() {
			lines = append(lines, s.text+" "+plot.Short(figure(t.Stages[s.name])))
		}
		return lines
	}
}

// builds are bars: what the runs of each interval did for a function.
func (o over) builds() *plot.Plot {
	kinds := []struct {
		outcome run.BuildOutcome
		text    string
	}{{run.BuildBuilt, "built"}, {run.BuildWaited, "waited for another's build"}, {run.BuildDidFail, "failed"}, {run.BuildRememberedFailure, "failed before"}}
	sums := o.values(func(p replay.Point) (sum float64) {
		for _, k := range kinds {
			sum += float64(p.Builds[k.outcome])
		}
		return sum
	})
	cold := o.values(func(p replay.Point) float64 { return float64(p.ColdStarts) })
	y := plot.UpTo(plot.Highest(sums, cold), plot.Bottom, plot.Top)
	p := o.plot("Builds and cold starts", "runs in each interval of "+plot.Clock(o.line.IntervalSeconds), y, plot.Plain, func(t replay.Point) (lines []string) {
		for _, k := range kinds {
			lines = append(lines, plot.Plain(float64(t.Builds[k.outcome]))+" "+k.text)
		}
		return append(lines, plot.Plain(float64(t.ColdStarts))+" cold starts")
	})
	below := make([]float64, len(o.at))
	for _, k := range kinds {
		any := false
		for i, t := range o.line.Points {
			n := float64(t.Builds[k.outcome])
			if n == 0 {
				continue
			}
			any = true
			from, to := o.x.At(t.Seconds), o.x.At(t.Seconds+o.line.IntervalSeconds)
			p.Bars = append(p.Bars, plot.Box{Class: string(k.outcome), X: from + 0.5, W: max(to-from-1, 1), Y: y.At(below[i] + n), H: y.At(below[i]) - y.At(below[i]+n)})
			below[i] += n
		}
		if any {
			p.Legend = append(p.Legend, plot.Key{Class: string(k.outcome), Text: k.text})
		}
	}
	p.Line(plot.Series{Class: "cold", Text: "cold starts", Values: cold}, o.x, y, o.at)
	return p
}
