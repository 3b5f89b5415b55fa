package run

import "time"

// Stage is a part of a run's life.
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

// Timeline accounts for the time of a run: each mark gives the time since the
// last one to a stage, so that nothing is left over. It knows no clock, and is
// not safe for concurrent use.
type Timeline struct {
	start, last time.Time
	spent       [stageCount]int64 // ms
}

// NewTimeline begins at start: when the request reached its queue.
func NewTimeline(start time.Time) *Timeline { return &Timeline{start: start, last: start} }

// Mark gives the time since the last mark to the stage. A now that lies before
// the last mark, as clocks of several machines have it, gives nothing.
func (t *Timeline) Mark(s Stage, now time.Time) {
	if !now.After(t.last) {
		return
	}
	// Rounding the sum, and not each part, makes the parts add up to it.
	before := t.total()
	t.last = now
	t.spent[s] += t.total() - before
}

// Spend gives d of the time since the last mark to the stage, and no more than
// has passed at now: for parts that are known by their length alone, such as a
// cold start.
func (t *Timeline) Spend(s Stage, d time.Duration, now time.Time) {
	until := t.last.Add(d)
	if until.After(now) {
		until = now
	}
	t.Mark(s, until)
}

func (t *Timeline) total() int64 { return t.last.Sub(t.start).Round(time.Millisecond).Milliseconds() }

// Timings is the account up to the last mark.
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
