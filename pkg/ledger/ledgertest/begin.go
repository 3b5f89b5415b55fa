package ledgertest

import (
	"slices"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// beginClaims test claims that count the first attempt, and calls that share a
// round trip.
var beginClaims = map[string]func(*testing.T, Env){
	"AClaimCanCountTheFirstAttempt":              beginCounts,
	"ARunThatWasTriedIsOnlyClaimed":              beginTried,
	"ACancelledRunIsOnlyClaimed":                 beginCancelled,
	"ARunWithoutARecordIsOnlyClaimed":            beginUnknown,
	"AClaimThatBeginsRepeatedIsTheSameGrant":     beginRepeated,
	"AReleaseTakesBackTheAttemptThatAClaimBegan": beginReleased,
	"ABegunHoldPutsItsRecordBack":                beginForgotten,
	"CallsTogetherTakeEffectInTheirOrder":        together,
}

// begun is a run that its claim has begun.
func (t tester) begun(key, owner string) ledger.Answer {
	t.Helper()
	t.accept(key)
	a := t.begin(key, owner)
	if !a.Granted || !a.Hold.Invoking || a.Hold.Attempts != 1 || a.Attempts != 0 || a.State != ledger.Queued {
		t.Fatalf("the claim answers %+v", a)
	}
	return a
}

// onlyClaimed begins a run that must only be claimed.
func (t tester) onlyClaimed(key, owner string, attempts int) {
	t.Helper()
	a := t.begin(key, owner)
	if !a.Granted || a.Hold.Invoking || a.Attempts != attempts || a.Hold.Attempts != attempts {
		t.Errorf("the claim answers %+v", a)
	}
	t.state(key, ledger.Claimed)
}

func beginCounts(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.begun("k", "a")
	same(t, "attempts", t.lookup("k").Attempts, 1)
	t.state("k", ledger.Invoking)
	same(t, "who has it", t.refused("k", "b").HeldBy, "a")
	t.renew(a.Hold, nil)
	t.finish(a.Hold, "event", nil)
	t.books(1, 1)
}

func beginTried(tt *testing.T, e Env) {
	t := with(tt, e)
	t.begun("k", "a")
	t.Pass(ttl + time.Second)
	t.onlyClaimed("k", "b", 1)
}

func beginCancelled(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.cancel("k")
	t.onlyClaimed("k", "a", 0)
}

func beginUnknown(tt *testing.T, e Env) {
	with(tt, e).onlyClaimed("k", "a", 1)
}

func beginRepeated(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.begun("k", "a")
	t.Pass(ttl * 2 / 3)
	again := t.begin("k", "a")
	if again.Hold != a.Hold || again.State != a.State || again.Attempts != 0 || again.Claims != 1 {
		t.Errorf("repeated, %+v is answered %+v", a, again)
	}
	t.Pass(ttl * 2 / 3)
	if b := t.begin("k", "b"); b.Granted { // the repeated claim has extended the TTL
		t.Errorf("another owner is answered %+v", b)
	}
	same(t, "attempts", t.lookup("k").Attempts, 1)
}

func beginReleased(tt *testing.T, e Env) {
	t := with(tt, e)
	t.release(t.begun("k", "a").Hold, false)
	same(t, "attempts", t.lookup("k").Attempts, 0)
	if b := t.begin("k", "b"); !b.Hold.Invoking || b.Claims != 2 {
		t.Errorf("the next claim answers %+v", b)
	}
}

func beginForgotten(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.begun("k", "a")
	t.Flush()
	t.renew(a.Hold, nil)
	t.state("k", ledger.Invoking)
	same(t, "attempts", t.lookup("k").Attempts, 1)
	t.finish(a.Hold, "event", nil)
}

func together(tt *testing.T, e Env) {
	t := with(tt, e)
	ends, asks, begins := t.begun("ends", "a"), t.accept("asks"), t.granted("begins", "a")
	same(t, "the state", asks, ledger.Unknown)
	stale := begins
	stale.Fence--
	answers := t.Ledger.Together(t.ctx, ledger.Calls{
		Finishes:  []ledger.Finish{{Hold: ends.Hold, Status: run.Failed, Result: []byte("event")}},
		Published: []run.Key{"ends"}, // after it was finished
		Claims:    []ledger.Claim{{Entry: entry("asks"), Owner: "a", Begin: true}, {Entry: entry("asks"), Owner: "b"}},
		ClaimTTL:  ttl,
		Invoking:  []ledger.Hold{begins, stale},
	})
	for _, err := range slices.Concat(answers.Published, answers.ClaimErrs) {
		t.ok(err)
	}
	t.is(answers.Finishes[0], nil, "Finish")
	t.is(answers.Invoking[0], nil, "Invoking")
	t.is(answers.Invoking[1], ledger.ErrLost, "Invoking")
	if a, b := answers.Claims[0], answers.Claims[1]; !a.Hold.Invoking || b.Granted || b.HeldBy != "a" {
		t.Errorf("the claims answer %+v and %+v", a, b)
	}
	t.state("ends", ledger.Published)
	t.state("begins", ledger.Invoking)
	t.books(3, 1)
}
