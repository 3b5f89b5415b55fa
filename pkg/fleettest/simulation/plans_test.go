package simulation

import (
	"os"
	"reflect"
	"runtime/debug"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// TestMain collects garbage less often: there are many short bubbles.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

func TestSeedDecidesThePlan(t *testing.T) {
	for seed := range uint64(20) {
		if !reflect.DeepEqual(newPlan(seed), newPlan(seed)) {
			t.Errorf("seed %d has two plans", seed)
		}
	}
	if reflect.DeepEqual(newPlan(1).requests, newPlan(2).requests) {
		t.Error("two seeds have one plan")
	}
}

func TestPlansHaveEveryFault(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(300) {
		p := newPlan(seed)
		for _, e := range p.events {
			seen[e.kind]++
			seen["at "+e.op]++
		}
		for what, there := range map[string]bool{
			"calm": p.calm, "a crowd": p.crowd, "a cap": p.cap < tenant.NoCap, "a backlog": p.maxBacklog < 10, "few parked": p.maxParked < 10,
			"Redis away": len(p.away) > 0, "results refused": len(p.refusing) > 0, "throttling": len(p.throttle) > 0,
			"duplicates": p.rates.duplicate > 0, "lost deletes": p.rates.loseDelete > 0, "entries that fail": p.rates.entry > 0,
			"lost answers": p.rates.lostAnswer > 0, "lost answers of Redis": p.rates.redis > 0, "5xx": p.rates.broken > 0,
			"stillborn functions": p.rates.stillborn > 0, "runners that refuse": p.rates.notTaken > 0, "garbled scripts": p.rates.garbled > 0,
		} {
			if there {
				seen[what]++
			}
		}
	}
	want := []string{
		eventKill, eventKillSoon, eventStop, eventStopSoon, eventDrain, eventCut, eventFlush, eventVanish, eventSleep,
		"calm", "a crowd", "a cap", "a backlog", "few parked", "Redis away", "results refused", "throttling", "duplicates",
		"lost deletes", "entries that fail", "lost answers", "lost answers of Redis", "5xx", "stillborn functions",
		"runners that refuse", "garbled scripts",
	}
	for _, op := range telling {
		want = append(want, "at "+op)
	}
	for _, what := range want {
		if seen[what] == 0 {
			t.Errorf("no plan has this: %s", what)
		}
	}
}
