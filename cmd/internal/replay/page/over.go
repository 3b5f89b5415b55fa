package page

import (
	"fmt"
	"math"
	"strings"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
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
	x    scale
}

func newOver(line replay.Timeline) over {
	o := over{line: line, x: scale{high: float64(len(line.Points)) * line.IntervalSeconds, from: left, to: right}}
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

func (o over) plots() []*plot {
	return []*plot{o.throughput(), o.backlog(), o.latency(), o.stages(), o.stageTails(), o.builds()}
}

// plot is a plot over time; tell are an interval's values.
func (o over) plot(title, note string, y scale, text func(float64) string, tell func(replay.Point) []string) *plot {
	p := newPlot(title, note)
	p.Up = y.ticks(4, text)
	p.Across = o.x.times(6)
	for _, t := range o.line.Points {
		from, to := o.x.at(t.Seconds), o.x.at(t.Seconds+o.line.IntervalSeconds)
		p.Hover = append(p.Hover, box{X: from, Y: top, W: to - from, H: bottom - top, Title: "from " + clock(t.Seconds) + "\n" + strings.Join(tell(t), "\n")})
	}
	return p
}

func (o over) throughput() *plot {
	sent := o.values(func(p replay.Point) float64 { return float64(p.Sent) / o.line.IntervalSeconds })
	results := o.values(func(p replay.Point) float64 { return float64(p.Results) / o.line.IntervalSeconds })
	y := upTo(highest(sent, results), bottom, top)
	p := o.plot("Throughput", "runs a second", y, plain, func(t replay.Point) []string {
		return []string{fmt.Sprintf("%s sent", plain(float64(t.Sent)/o.line.IntervalSeconds)), fmt.Sprintf("%s results", plain(float64(t.Results)/o.line.IntervalSeconds))}
	})
	p.line(series{"sent", "sent", sent}, o.x, y, o.at)
	p.line(series{"results", "results", results}, o.x, y, o.at)
	return p
}

func (o over) backlog() *plot {
	open := o.values(func(p replay.Point) float64 { return float64(p.Backlog) })
	y := upTo(highest(open), bottom, top)
	p := o.plot("Backlog", "runs sent and not answered", y, plain, func(t replay.Point) []string { return []string{plain(float64(t.Backlog)) + " open"} })
	p.stack([]series{{"backlog", "open runs", open}}, o.x, y, o.at)
	return p
}

func (o over) latency() *plot {
	of := func(figure func(replay.Brief) float64) []float64 {
		return o.values(func(p replay.Point) float64 { return known(p, figure(p.Latency)) })
	}
	p50, p99 := of(func(b replay.Brief) float64 { return b.P50 }), of(func(b replay.Brief) float64 { return b.P99 })
	most := of(func(b replay.Brief) float64 { return b.Max })
	y := decades(lowest(p50), highest(most), bottom, top)
	p := o.plot("Latency", "from due to result, by when a run was due", y, short, func(t replay.Point) []string {
		return []string{"p50 " + short(t.Latency.P50), "p99 " + short(t.Latency.P99), "max " + short(t.Latency.Max)}
	})
	p.line(series{"max", "max", most}, o.x, y, o.at)
	p.line(series{"p99", "p99", p99}, o.x, y, o.at)
	p.line(series{"p50", "p50", p50}, o.x, y, o.at)
	return p
}

// used are the stages on which any run spent time.
func (o over) used() (all []stage) {
	for _, s := range shown {
		if highest(o.stage(s, func(b replay.Brief) float64 { return b.Max })) > 0 {
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

func (o over) stages() *plot {
	mean := func(b replay.Brief) float64 { return b.Mean }
	var all []series
	sums := make([]float64, len(o.at))
	for _, s := range o.used() {
		values := o.stage(s, mean)
		all = append(all, series{s.name, s.text, values})
		for i, v := range values {
			sums[i] += v
		}
	}
	y := upTo(highest(sums), bottom, top)
	p := o.plot("Where the time went", "mean of each stage, stacked", y, short, o.tell(mean))
	p.stack(all, o.x, y, o.at)
	return p
}

func (o over) stageTails() *plot {
	p99 := func(b replay.Brief) float64 { return b.P99 }
	var all []series
	most := 1.0
	for _, s := range o.used() {
		values := o.stage(s, p99)
		most = max(most, highest(values))
		for i, p := range o.line.Points {
			values[i] = known(p, values[i])
		}
		all = append(all, series{s.name, s.text, values})
	}
	y := decades(1, most, bottom, top)
	p := o.plot("The slowest runs of each stage", "p99 of each stage", y, short, o.tell(p99))
	for _, s := range all {
		p.line(s, o.x, y, o.at)
	}
	return p
}

func (o over) tell(figure func(replay.Brief) float64) func(replay.Point) []string {
	return func(t replay.Point) (lines []string) {
		for _, s := range o.used() {
			lines = append(lines, s.text+" "+short(figure(t.Stages[s.name])))
		}
		return lines
	}
}

// builds are bars: what the runs of each interval did for a function.
func (o over) builds() *plot {
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
	y := upTo(highest(sums, cold), bottom, top)
	p := o.plot("Builds and cold starts", "runs in each interval of "+clock(o.line.IntervalSeconds), y, plain, func(t replay.Point) (lines []string) {
		for _, k := range kinds {
			lines = append(lines, plain(float64(t.Builds[k.outcome]))+" "+k.text)
		}
		return append(lines, plain(float64(t.ColdStarts))+" cold starts")
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
			from, to := o.x.at(t.Seconds), o.x.at(t.Seconds+o.line.IntervalSeconds)
			p.Bars = append(p.Bars, box{Class: string(k.outcome), X: from + 0.5, W: max(to-from-1, 1), Y: y.at(below[i] + n), H: y.at(below[i]) - y.at(below[i]+n)})
			below[i] += n
		}
		if any {
			p.Legend = append(p.Legend, key{string(k.outcome), k.text})
		}
	}
	p.line(series{"cold", "cold starts", cold}, o.x, y, o.at)
	return p
}

func highest(all ...[]float64) (most float64) {
	for _, values := range all {
		for _, v := range values {
			if v > most { // no number is not
				most = v
			}
		}
	}
	return most
}

// lowest is the least value above 0; 1 if there is none.
func lowest(values []float64) float64 {
	least := 0.0
	for _, v := range values {
		if v > 0 && (least == 0 || v < least) {
			least = v
		}
	}
	if least == 0 {
		return 1
	}
	return least
}
