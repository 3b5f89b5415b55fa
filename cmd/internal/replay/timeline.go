package replay

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// timeline counts what happened in intervals of equal length. The intervals get
// longer with the replay, so that there are at most maxSpans of them. A send or
// a result is in the interval in which it happened; a latency is in the one in
// which its request was due.
type timeline struct {
	width time.Duration
	spans []*span
}

// maxSpans bounds the memory of a timeline: a span takes about 150 KB.
const (
	maxSpans  = 120
	firstSpan = 250 * time.Millisecond
)

// span is one interval.
type span struct {
	sent, failed, results int // failed: runs whose sends all failed
	coldStarts            int
	outcomes              map[run.BuildOutcome]int
	stages                map[string]*coarse // and stageLatency
}

func newTimeline() *timeline { return &timeline{width: firstSpan} }

// at returns the interval with the time passed since the beginning.
func (t *timeline) at(passed time.Duration) *span {
	passed = max(passed, 0)
	for passed >= maxSpans*t.width {
		t.halve()
	}
	i := int(passed / t.width)
	for len(t.spans) <= i {
		t.spans = append(t.spans, &span{outcomes: map[run.BuildOutcome]int{}, stages: map[string]*coarse{}})
	}
	return t.spans[i]
}

// halve makes one interval of every two.
func (t *timeline) halve() {
	t.width *= 2
	for i, s := range t.spans {
		if i%2 == 1 {
			t.spans[i/2].add(s)
		} else {
			t.spans[i/2] = s
		}
	}
	t.spans = t.spans[:(len(t.spans)+1)/2]
}

func (s *span) add(o *span) {
	s.sent += o.sent
	s.failed += o.failed
	s.results += o.results
	s.coldStarts += o.coldStarts
	for outcome, n := range o.outcomes {
		s.outcomes[outcome] += n
	}
	for name, h := range o.stages {
		s.stage(name).merge(h)
	}
}

func (s *span) stage(name string) *coarse {
	h := s.stages[name]
	if h == nil {
		h = newCoarse()
		s.stages[name] = h
	}
	return h
}

// result counts a result.
func (s *span) result(r run.Result) {
	s.results++
	if r.Data.Build.Outcome != run.BuildNone {
		s.outcomes[r.Data.Build.Outcome]++
	}
	if f := r.Data.Function; f != nil && f.ColdStart {
		s.coldStarts++
	}
}

// coarse is a histogram of milliseconds, to two digits: 16 KB.
type coarse struct {
	h   *hdrhistogram.Histogram
	sum time.Duration
}

func newCoarse() *coarse { return &coarse{h: hdrhistogram.New(1, longest.Milliseconds(), 2)} }

func (c *coarse) record(d time.Duration) {
	d = min(max(d, 0), longest)
	c.sum += d
	_ = c.h.RecordValue(d.Milliseconds()) // the value is within the bounds
}

func (c *coarse) merge(o *coarse) {
	c.sum += o.sum
	c.h.Merge(o.h)
}

// Timeline is what happened over time, in intervals of equal length.
type Timeline struct {
	IntervalSeconds float64 `json:"interval_seconds"`
	Points          []Point `json:"points"`
}

// Point is one interval. Stages are of the runs that were due in it.
type Point struct {
	Seconds    float64                  `json:"seconds"` // from the replay's beginning to the interval's
	Sent       int                      `json:"sent"`
	Results    int                      `json:"results"`
	Backlog    int                      `json:"backlog"` // runs sent and not answered at the interval's end
	Builds     map[run.BuildOutcome]int `json:"builds"`  // results by outcome, without reused
	ColdStarts int                      `json:"cold_starts"`
	Latency    Brief                    `json:"latency_ms"`
	Stages     map[string]Brief         `json:"stages_ms"`
}

// Brief are the few figures of an interval, in milliseconds.
type Brief struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

func (t *timeline) report() Timeline {
	r := Timeline{IntervalSeconds: t.width.Seconds(), Points: make([]Point, len(t.spans))}
	backlog := 0
	for i, s := range t.spans {
		backlog += s.sent - s.failed - s.results
		p := Point{
			Seconds: float64(i) * t.width.Seconds(), Sent: s.sent, Results: s.results, Backlog: max(backlog, 0),
			Builds: map[run.BuildOutcome]int{}, ColdStarts: s.coldStarts, Stages: map[string]Brief{},
		}
		for outcome, n := range s.outcomes {
			if outcome != run.BuildReused {
				p.Builds[outcome] = n
			}
		}
		for name, h := range s.stages {
			if name == stageLatency {
				p.Latency = h.brief()
			} else if h.sum > 0 {
				p.Stages[name] = h.brief()
			}
		}
		r.Points[i] = p
	}
	return r
}

func (c *coarse) brief() Brief {
	return Brief{
		Mean: rounded(toMS(c.sum) / float64(max(c.h.TotalCount(), 1))),
		P50:  float64(c.h.ValueAtPercentile(50)), P99: float64(c.h.ValueAtPercentile(99)), Max: float64(c.h.Max()),
	}
}
