package replay

import (
	"fmt"
	"io"
	"time"
)

// Comparison holds a report beside an older one.
type Comparison struct {
	Label     string    `json:"label"` // of the older
	StartedAt time.Time `json:"started_at"`
	Figures   []Change  `json:"figures"`
}

// Change is a figure in both reports. Ratio is new to old; 0 where the old one
// is 0.
type Change struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"` // ms, 1/s or empty for a count
	Old    float64 `json:"old"`
	New    float64 `json:"new"`
	Ratio  float64 `json:"ratio"`
	// Better is 1 where the change is an improvement, -1 where it is the
	// opposite, and 0 where neither can be said or the change is below 5 %.
	Better int `json:"better"`
}

// Compare compares the replay with an older one.
func (r *Report) Compare(old *Report) {
	c := &Comparison{Label: old.Label, StartedAt: old.StartedAt}
	add := func(figure, unit string, was, is float64, wanted int) {
		change := Change{Figure: figure, Unit: unit, Old: was, New: is}
		if was > 0 {
			change.Ratio = rounded(is / was)
		}
		if differ := is - was; differ > 0.05*was || -differ > 0.05*was {
			change.Better = wanted
			if differ < 0 {
				change.Better = -wanted
			}
		}
		c.Figures = append(c.Figures, change)
	}
	count := func(figure string, was, is, wanted int) { add(figure, "", float64(was), float64(is), wanted) }
	count("requests", old.Requests, r.Requests, 0)
	add("sent", "1/s", old.SendRate, r.SendRate, 0)
	add("results", "1/s", old.ResultRate, r.ResultRate, 1)
	for _, stage := range stageNames() {
		if stage == stageTotal {
			continue
		}
		was, is := old.percentiles(stage), r.percentiles(stage)
		if was.Max == 0 && is.Max == 0 {
			continue
		}
		add(stage+" p50", "ms", was.P50, is.P50, -1)
		add(stage+" p99", "ms", was.P99, is.P99, -1)
		if stage == stageLatency {
			add(stage+" max", "ms", was.Max, is.Max, -1)
		}
	}
	count("scripts", old.Builds.Scripts, r.Builds.Scripts, 0)
	count("builds", old.Builds.Built, r.Builds.Built, -1)
	count("cold starts", old.ColdStarts, r.ColdStarts, -1)
	count("lost", old.Lost.Count, r.Lost.Count, -1)
	count("doubled", old.Doubled.Count, r.Doubled.Count, -1)
	r.Compared = c
}

// Text is the value with its unit.
func (c Change) Text(v float64) string {
	switch c.Unit {
	case "":
		return grouped(int(v))
	case "1/s":
		return fmt.Sprintf("%.1f/s", v)
	}
	return show(v) + " ms"
}

// RatioText is the ratio for people.
func (c Change) RatioText() string {
	switch {
	case c.Ratio == 0 && c.New == c.Old:
		return "="
	case c.Ratio == 0:
		return "new"
	}
	return fmt.Sprintf("×%.2f", c.Ratio)
}

func (c *Comparison) write(w io.Writer) {
	fmt.Fprintf(w, "\nBeside replay %s of %s\n", c.Label, c.StartedAt.Local().Format(time.DateTime))
	table := newTable(w)
	fmt.Fprintln(table, "\told\tnew\tratio\t")
	for _, f := range c.Figures {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", f.Figure, f.Text(f.Old), f.Text(f.New), f.RatioText(), map[int]string{1: "better", -1: "worse"}[f.Better])
	}
	_ = table.Flush()
}
