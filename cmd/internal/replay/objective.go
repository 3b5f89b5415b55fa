package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Objective is an upper bound of a figure of the latency, or of a stage.
type Objective struct {
	Stage  string // latency, total, transit, or a stage of a run
	Figure string // p50, p90, p99, p99.9, max or mean
	Below  time.Duration
}

var figuresOf = map[string]func(Percentiles) float64{
	"p50": func(p Percentiles) float64 { return p.P50 }, "p90": func(p Percentiles) float64 { return p.P90 },
	"p99": func(p Percentiles) float64 { return p.P99 }, "p99.9": func(p Percentiles) float64 { return p.P999 },
	"max": func(p Percentiles) float64 { return p.Max }, "mean": func(p Percentiles) float64 { return p.Mean },
}

// ParseObjective parses p99<500ms, which is of the latency, or queue.p99<1s,
// which is of a stage.
func ParseObjective(text string) (Objective, error) {
	figure, bound, _ := strings.Cut(text, "<")
	o := Objective{Stage: stageLatency, Figure: strings.TrimSpace(figure)}
	for _, s := range stageNames() {
		if rest, ok := strings.CutPrefix(o.Figure, s+"."); ok {
			o.Stage, o.Figure = s, rest
		}
	}
	if figuresOf[o.Figure] == nil {
		return o, fmt.Errorf("%q is no objective: write it as p99<500ms or queue.p99<1s, with one of %s, of %s",
			text, strings.Join(slices.Sorted(maps.Keys(figuresOf)), ", "), strings.Join(stageNames(), ", "))
	}
	var err error
	if o.Below, err = time.ParseDuration(strings.TrimSpace(bound)); err != nil || o.Below <= 0 {
		return o, fmt.Errorf("%q is no objective: after < stands a time above 0, such as 500ms or 2s", text)
	}
	return o, nil
}

// stageNames are the stages of which there are figures.
func stageNames() []string {
	names := []string{stageLatency}
	for _, s := range stages {
		names = append(names, s.name)
	}
	return append(names, stageTransit)
}

func (o Objective) String() string {
	if o.Stage == stageLatency {
		return fmt.Sprintf("%s<%s", o.Figure, o.Below)
	}
	return fmt.Sprintf("%s.%s<%s", o.Stage, o.Figure, o.Below)
}

// Verdict is an objective, and whether the replay met it.
type Verdict struct {
	Objective string  `json:"objective"`
	MS        float64 `json:"ms"` // the figure as measured
	Met       bool    `json:"met"`
}

func (v Verdict) String() string {
	if v.Met {
		return fmt.Sprintf("%s is met, with %s ms", v.Objective, show(v.MS))
	}
	return fmt.Sprintf("%s is not met: it was %s ms", v.Objective, show(v.MS))
}

// Expect judges the replay by objectives too. An objective is not met if there
// is no result.
func (r *Report) Expect(objectives []Objective) {
	r.Objectives = nil
	for _, o := range objectives {
		p := r.percentiles(o.Stage)
		ms := figuresOf[o.Figure](p)
		r.Objectives = append(r.Objectives, Verdict{o.String(), ms, p.Count > 0 && ms < toMS(o.Below)})
	}
	r.judge()
}

func (r *Report) percentiles(stage string) Percentiles {
	if stage == stageLatency {
		return r.Latency
	}
	return r.Stages[stage]
}

// OnlyMissed tells whether objectives that were not met are all that went wrong.
func (r *Report) OnlyMissed() bool {
	others := *r
	others.Objectives = nil
	others.judge()
	return !r.OK && others.OK
}
