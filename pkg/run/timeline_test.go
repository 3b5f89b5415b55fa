package run

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func (t Timings) stages() []int64 {
	return []int64{t.Intake, t.Queue, t.BuildWait, t.Build, t.Init, t.Execute, t.Publish}
}

func TestStagesAddUpToTheTotalWhateverTheClocksDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := november
		line, now, latest := NewTimeline(start), start, start
		for range rapid.IntRange(0, 50).Draw(t, "marks") {
			// Small steps, so that rounding matters, and some backwards.
			now = now.Add(time.Duration(rapid.Int64Range(-2_000_000, 5_000_000).Draw(t, "step")))
			stage := Stage(rapid.IntRange(0, int(stageCount)-1).Draw(t, "stage"))
			if rapid.Bool().Draw(t, "spend") {
				line.Spend(stage, time.Duration(rapid.Int64Range(-1_000_000, 9_000_000).Draw(t, "d")), now)
			}
			line.Mark(stage, now)
			if now.After(latest) {
				latest = now
			}
		}
		got, sum := line.Timings(), int64(0)
		for _, ms := range got.stages() {
			if ms < 0 {
				t.Fatalf("a stage is negative: %+v", got)
			}
			sum += ms
		}
		if want := latest.Sub(start).Round(time.Millisecond).Milliseconds(); sum != got.Total || got.Total != want {
			t.Fatalf("stages add up to %d, total is %d, %d ms have passed", sum, got.Total, want)
		}
	})
}

func TestEachStageHasTheTimeThatWasMarkedForIt(t *testing.T) {
	line, now := NewTimeline(november), november
	step := func(ms int) time.Time {
		now = now.Add(time.Duration(ms) * time.Millisecond)
		return now
	}
	line.Mark(StageIntake, step(3))
	line.Mark(StageQueue, step(5))
	line.Mark(StageBuildWait, step(700))
	line.Mark(StageQueue, step(2))
	line.Spend(StageInit, 90*time.Millisecond, step(100))
	line.Mark(StageExecute, now)
	line.Spend(StageInit, time.Hour, step(1))
	line.Mark(StagePublish, now)
	want := Timings{Intake: 3, Queue: 7, BuildWait: 700, Init: 91, Execute: 10, Total: 811}
	if got := line.Timings(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
