package replay

import (
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestATimelineKeepsItsSumsAsItGrows(t *testing.T) {
	line := newTimeline()
	const n = 10_000
	for i := range n {
		at := time.Duration(i) * 100 * time.Millisecond
		line.at(at/2).sent++
		if i%10 == 0 {
			line.at(at/2).failed++
		}
		s := line.at(at)
		s.result(run.Result{Data: run.ResultData{Build: run.BuildInfo{Outcome: run.BuildWaited}, Function: &run.FunctionInfo{ColdStart: i%2 == 0}}})
		s.stage("queue").record(time.Duration(i) * time.Millisecond)
	}
	r := line.report()
	if r.IntervalSeconds != 16 || len(r.Points) != 63 {
		t.Fatalf("%d intervals of %g s", len(r.Points), r.IntervalSeconds)
	}
	sent, results, waited, cold := 0, 0, 0, 0
	failed := func(i int) int { return (min((i+1)*320, n) + 9) / 10 }
	for i, p := range r.Points {
		sent, results = sent+p.Sent, results+p.Results
		waited, cold = waited+p.Builds[run.BuildWaited], cold+p.ColdStarts
		if p.Seconds != float64(i)*16 || p.Backlog != max(0, sent-failed(i)-results) {
			t.Errorf("interval %d: %+v after %d sent and %d answered", i, p, sent, results)
		}
	}
	if sent != n || results != n || waited != n || cold != n/2 {
		t.Errorf("%d sent, %d results, %d waited, %d cold starts", sent, results, waited, cold)
	}
	if q := r.Points[62].Stages["queue"]; q.P50 < 9900 || q.Max < 9999 || q.Mean < 9900 || q.Mean > 10_000 {
		t.Errorf("the last results' queue is %+v", q)
	}
}

func TestARunThatCouldNotBeSentIsNoBacklog(t *testing.T) {
	r := recorded(t).Timeline
	if last := r.Points[len(r.Points)-1].Backlog; last != 3 {
		t.Errorf("a backlog of %d at the end, beside 3 lost runs", last)
	}
}
