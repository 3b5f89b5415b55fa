package replay

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Stages of a run's life, in order; those between the queues are [run.Timings].
// Transit is the rest of the latency: to the requests queue, late sends
// included, and from the results queue.
const (
	stageTransit = "transit"
	stageTotal   = "total"
	stageLatency = "latency" // all of it
)

var stages = []struct {
	name string
	of   func(run.Timings) int64
}{
	{"intake", func(t run.Timings) int64 { return t.Intake }},
	{"queue", func(t run.Timings) int64 { return t.Queue }},
	{"build_wait", func(t run.Timings) int64 { return t.BuildWait }},
	{"build", func(t run.Timings) int64 { return t.Build }},
	{"init", func(t run.Timings) int64 { return t.Init }},
	{"execute", func(t run.Timings) int64 { return t.Execute }},
	{"publish", func(t run.Timings) int64 { return t.Publish }},
	{stageTotal, func(t run.Timings) int64 { return t.Total }},
}

// figures are the numbers of a replay. [Books] guards them.
type figures struct {
	latency, lateness, calls *histogram
	stages                   map[string]*histogram
	statuses                 map[run.Status]int
	outcomes                 map[run.BuildOutcome]int
	scripts                  map[run.ScriptHash]*script
	tenants                  map[string]*tenant
	timeline                 *timeline
	coldStarts, attempted    int
	ahead                    int // builds that no run of the script requested
}

type script struct {
	tenant string
	built  int
}

// tenant has all values of its runs: 4 bytes for each stage of a run, less than
// a histogram for each stage of each of many tenants, and exact.
type tenant struct {
	Runs, Results, Built int
	waits, latencies     []float64          // in ms
	stages               map[string][]int32 // in ms, without zeros
}

func newFigures() *figures {
	f := &figures{
		latency: newHistogram(), lateness: newHistogram(), calls: newHistogram(),
		stages:   map[string]*histogram{stageTransit: newHistogram()},
		statuses: map[run.Status]int{}, outcomes: map[run.BuildOutcome]int{},
		scripts: map[run.ScriptHash]*script{}, tenants: map[string]*tenant{}, timeline: newTimeline(),
	}
	for _, s := range stages {
		f.stages[s.name] = newHistogram()
	}
	return f
}

func (f *figures) late(d time.Duration) { f.lateness.record(d) }
func (f *figures) call(d time.Duration) { f.calls.record(d) }

func (f *figures) tenant(name string) *tenant {
	t := f.tenants[name]
	if t == nil {
		t = &tenant{stages: map[string][]int32{}}
		f.tenants[name] = t
	}
	return t
}

// result counts the first result of a run that was due and answered at these
// times since the beginning.
func (f *figures) result(r run.Result, due, answered time.Duration) {
	latency := answered - due
	f.statuses[r.Data.Status]++
	f.timeline.at(answered).result(r)
	f.latency.record(latency)
	f.timeline.at(due).stage(stageLatency).record(latency)
	t := f.tenant(r.Tenant)
	t.Results++
	timings := r.Data.Timings
	for _, s := range stages {
		f.stage(t, s.name, due, ms(s.of(timings)))
	}
	f.stage(t, stageTransit, due, max(0, latency-ms(timings.Total)))
	if r.Data.Attempt > 1 {
		f.attempted++
	}
	t.waits = append(t.waits, float64(timings.Intake+timings.Queue+timings.BuildWait+timings.Build+timings.Init))
	t.latencies = append(t.latencies, toMS(latency))
	f.build(r, t)
}

// stage counts the time that a run of t spent in a stage.
func (f *figures) stage(t *tenant, name string, due, spent time.Duration) {
	f.stages[name].record(spent)
	f.timeline.at(due).stage(name).record(spent)
	if n := min(spent, longest).Milliseconds(); n > 0 {
		t.stages[name] = append(t.stages[name], int32(n))
	}
}

func (f *figures) build(r run.Result, t *tenant) {
	outcome := r.Data.Build.Outcome
	if outcome != run.BuildNone {
		f.outcomes[outcome]++
	}
	if outcome == run.BuildBuilt {
		t.Built++
	}
	fn := r.Data.Function
	if fn == nil {
		if outcome == run.BuildBuilt {
			f.ahead++
		}
		return
	}
	if fn.ColdStart {
		f.coldStarts++
	}
	s := f.scripts[fn.ScriptHash]
	if s == nil {
		s = &script{tenant: r.Tenant}
		f.scripts[fn.ScriptHash] = s
	}
	if outcome == run.BuildBuilt {
		s.built++
	}
}

// Percentiles are percentiles of durations, in milliseconds.
type Percentiles struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
}

// histogram holds durations of up to a day in microseconds, to three digits.
type histogram struct {
	h   *hdrhistogram.Histogram
	sum time.Duration
}

const longest = 24 * time.Hour

func newHistogram() *histogram {
	return &histogram{h: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// record takes a negative duration, from clocks that disagree, as 0.
func (h *histogram) record(d time.Duration) {
	d = min(max(d, 0), longest)
	h.sum += d
	_ = h.h.RecordValue(d.Microseconds()) // the value is within the bounds
}

// marks are the percentiles of a distribution.
var marks = []float64{0, 5, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100}

// Mark is a percentile, and the milliseconds that it is at.
type Mark struct {
	Percent float64 `json:"percent"`
	MS      float64 `json:"ms"`
}

// distribution are the marks that so many values can tell: p99.9 of 100 values
// is their maximum.
func (h *histogram) distribution() []Mark {
	n := float64(h.h.TotalCount())
	all := []Mark{}
	for _, percent := range marks {
		if n > 0 && (percent == 100 || (100-percent)/100*n >= 1) {
			all = append(all, Mark{percent, float64(h.h.ValueAtPercentile(percent)) / 1000})
		}
	}
	return all
}

func (h *histogram) percentiles() Percentiles {
	p := Percentiles{Count: h.h.TotalCount()}
	if p.Count == 0 {
		return p
	}
	at := func(percent float64) float64 { return float64(h.h.ValueAtPercentile(percent)) / 1000 }
	p.Mean = rounded(toMS(h.sum) / float64(p.Count))
	p.P50, p.P90, p.P99, p.P999, p.Max = at(50), at(90), at(99), at(99.9), float64(h.h.Max())/1000
	return p
}

// percentile is the nearest-rank percentile of sorted values.
func percentile(sorted []float64, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return rounded(sorted[max(rank, 1)-1])
}

func sorted(values []float64) []float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	return values
}

func ms(n int64) time.Duration             { return time.Duration(n) * time.Millisecond }
func toMS(d time.Duration) float64         { return d.Seconds() * 1000 }
func rounded(milliseconds float64) float64 { return math.Round(milliseconds*1000) / 1000 }
