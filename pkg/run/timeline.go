package run

import "time"

// Stage is a part of a run's total time.
type Stage int

// The stages, in the order of [Timings].
const (
	StageIntake Stage = iota
	StageQueue
	StageBuildWait
	StageBuild
	StageInit
	StageExecute
	StagePublish
	stageCount
)

// Timeline divides the time of a run among its stages. Each Mark adds the time
// since the previous mark to one stage, so the stages add up to the total. The
// caller passes the times; a Timeline is not safe for concurrent use.
type Timeline struct {
	start, last time.Time
	spent       [stageCount]int64 // ms
	keep        bool
	kept        []Interval
}

// NewTimeline returns a timeline that begins at start, when the request reached
// its queue.
func NewTimeline(start time.Time) *Timeline { return &Timeline{start: start, last: start} }

// Interval is the time between two marks, and the stage that it was added to.
type Interval struct {
	Stage    Stage
	From, To time.Time
}

// Keep has the timeline keep its intervals from now on.
func (t *Timeline) Keep() { t.keep = true }

// Intervals returns what was kept.
func (t *Timeline) Intervals() []Interval { return t.kept }

// Since is the time from the timeline's start to now, never negative.
func (t *Timeline) Since(now time.Time) time.Duration { return max(0, now.Sub(t.start)) }

// Mark adds the time since the last mark to the stage. It does nothing if now
// is before the last mark, which happens since clocks of machines differ.
func (t *Timeline) Mark(s Stage, now time.Time) {
	if !now.After(t.last) {
		return
	}
	// Only totals are rounded, and a stage gets the difference of two of them,
	// so the stages add up to the total in ms.
	before := t.total()
	if t.keep {
		t.kept = append(t.kept, Interval{s, t.last, now})
	}
	t.last = now
	t.spent[s] += t.total() - before
}

// Spend adds d of the time since the last mark to the stage, at most the time
// that has passed until now. It is for stages of which only the length is
// known, such as a cold start.
func (t *Timeline) Spend(s Stage, d time.Duration, now time.Time) {
	until := t.last.Add(d)
	if until.After(now) {
		until = now
	}
	t.Mark(s, until)
}

func (t *Timeline) total() int64 { return t.last.Sub(t.start).Round(time.Millisecond).Milliseconds() }

// Timings returns the stages in ms, up to the last mark.
func (t *Timeline) Timings() Timings {
	return Timings{
		Intake:    t.spent[StageIntake],
		Queue:     t.spent[StageQueue],
		BuildWait: t.spent[StageBuildWait],
		Build:     t.spent[StageBuild],
		Init:      t.spent[StageInit],
		Execute:   t.spent[StageExecute],
		Publish:   t.spent[StagePublish],
		Total:     t.total(),
	}
}
