package ledgertest

import (
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

// ownerClaims test several deliveries of one run, and owners that die, or pause
// and resume.
var ownerClaims = map[string]func(*testing.T, Env){
	"AClaimIsRefusedWhileAnotherHoldsTheRun":         refusedWhileHeld,
	"AClaimRepeatedIsTheSameGrant":                   claimRepeated,
	"AnOwnerThatInvokedIsHeldAgainstItself":          claimRepeatedAfterInvoking,
	"RenewMakesTheClaimLast":                         renewExtends,
	"ARunOfAnOwnerThatDiedBeforeInvokingGoesOn":      diedBeforeInvoking,
	"ARunOfAnOwnerThatDiedAfterInvokingTellsSo":      diedAfterInvoking,
	"APausedOwnerIsLostOnceAnotherClaimed":           pausedAndOvertaken,
	"APausedOwnerIsLostToOneThatHasReleased":         pausedAndOvertakenByRelease,
	"APausedOwnerGoesOnIfNoOtherTookItsRun":          pausedAlone,
	"APausedOwnerCannotFinishWhatAnotherFinished":    pausedAndFinished,
	"AReleasedRunIsClaimedAtOnce":                    releaseFrees,
	"ARenewalAfterTheReleaseIsLost":                  renewAfterRelease,
	"AReleaseTakesBackTheHoldsOwnAttempt":            releaseTakesBack,
	"AReleaseLeavesTheAttemptsOfOwnersBefore":        releaseLeavesOthers,
	"AReleaseAfterExecutionLeavesTheAttempt":         releaseExecuted,
	"AReleaseRepeatedChangesNothing":                 releaseRepeated,
	"AReleaseTakesBackAnInvocationOfUnknownOutcome":  releaseAfterUnknownInvoking,
	"AReleaseOfALostClaimLeavesTheOtherAlone":        releaseLost,
	"AnInvocationRepeatedIsOneAttempt":               invokingRepeated,
	"EveryInvocationOfItsOwnIsAnAttempt":             invokingAgain,
	"AReleaseOfAFinishedRunChangesNothing":           releaseAfterFinish,
	"AnotherOwnersNameWithTheSameFenceIsLost":        wrongOwner,
	"ClaimsCountHowOftenTheRunWasGranted":            claimsCount,
	"AnOwnerThatIsRefusedChangesNothingForTheHolder": refusalIsHarmless,
}

func refusedWhileHeld(tt *testing.T, e Env) {
	t := with(tt, e)
	t.granted("k", "a")
	t.Pass(ttl / 3)
	r := t.refused("k", "b")
	if r.State != ledger.Claimed || r.HeldBy != "a" || r.Claims != 1 || len(r.Result) != 0 {
		t.Errorf("the claim answers %+v", r)
	}
	if r.HeldFor <= ttl/2 || r.HeldFor > ttl*2/3+time.Second {
		t.Errorf("held for %s, want about %s", r.HeldFor, ttl*2/3)
	}
}

func claimRepeated(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	first := t.claim("k", "a")
	t.Pass(ttl * 2 / 3)
	again := t.claim("k", "a")
	if again.Hold != first.Hold || again.State != first.State || again.Fresh != first.Fresh ||
		again.Claims != first.Claims || !again.Granted {
		t.Errorf("repeated, %+v is answered %+v", first, again)
	}
	t.Pass(ttl * 2 / 3)
	t.refused("k", "b") // the repeated claim has extended the TTL
	t.Pass(ttl)
	b := t.claim("k", "b")
	t.invoking(b.Hold)
	t.Pass(2 * ttl)
	c := t.claim("k", "c")
	if c2 := t.claim("k", "c"); c2.State != ledger.Invoking || c2.Attempts != 1 || c2.Hold != c.Hold {
		t.Errorf("repeated, %+v is answered %+v", c, c2)
	}
	t.books(1, 0)
}

func claimRepeatedAfterInvoking(tt *testing.T, e Env) {
	t := with(tt, e)
	t.invoking(t.granted("k", "a"))
	t.refused("k", "a")
}

func renewExtends(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	for range 3 {
		t.Pass(ttl * 2 / 3)
		t.renew(h, nil)
	}
	t.refused("k", "b")
	t.Pass(ttl + time.Second)
	t.granted("k", "b")
}

func diedBeforeInvoking(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.granted("k", "a")
	t.Pass(ttl + time.Second)
	b := t.claim("k", "b")
	if !b.Granted || b.State != ledger.Claimed || b.Attempts != 0 || b.Claims != 2 || b.Fresh {
		t.Errorf("the claim answers %+v", b)
	}
}

func diedAfterInvoking(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.invoking(t.granted("k", "a"))
	t.Pass(ttl + time.Second)
	b := t.claim("k", "b")
	if !b.Granted || b.State != ledger.Invoking || b.Attempts != 1 || b.Hold.Attempts != 1 || b.Claims != 2 {
		t.Errorf("the claim answers %+v", b)
	}
	same(t, "the second attempt", t.invoking(b.Hold).Attempts, 2)
}

func pausedAndOvertaken(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.invoking(t.granted("k", "a"))
	t.Pass(ttl + time.Second)
	b := t.granted("k", "b")
	if b.Fence <= a.Fence {
		t.Errorf("fence %d after %d", b.Fence, a.Fence)
	}
	t.renew(a, ledger.ErrLost)
	t.notInvoking(a)
	t.finish(a, "stale", ledger.ErrLost)
	t.ok(t.Ledger.Wait(t.ctx, a, "nothing"))
	t.release(a, false)
	same(t, "what it waits for", t.lookup("k").Waiting, "")
	t.refused("k", "c")
	t.finish(b, "event", nil)
	if d := t.refused("k", "d"); string(d.Result) != "event" {
		t.Errorf("the result is %q", d.Result)
	}
	t.books(1, 1)
}

func pausedAndOvertakenByRelease(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.Pass(ttl + time.Second)
	t.release(t.granted("k", "b"), true)
	t.renew(a, ledger.ErrLost)
	t.finish(a, "stale", ledger.ErrLost)
	t.state("k", ledger.Queued)
}

func pausedAlone(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.Pass(10 * ttl)
	a = t.invoking(a)
	t.renew(a, nil)
	t.refused("k", "b")
	t.Pass(10 * ttl)
	t.finish(a, "event", nil)
}

func pausedAndFinished(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.invoking(t.granted("k", "a"))
	t.Pass(ttl + time.Second)
	t.finish(t.granted("k", "b"), "event", nil)
	t.renew(a, ledger.ErrLost)
	t.notInvoking(a)
	t.finish(a, "stale", ledger.ErrLost)
	t.release(a, true)
	t.state("k", ledger.Done)
	t.books(1, 1)
}

func releaseFrees(tt *testing.T, e Env) {
	t := with(tt, e)
	t.release(t.granted("k", "a"), false)
	t.state("k", ledger.Queued)
	b := t.claim("k", "b")
	if !b.Granted || b.State != ledger.Queued || b.Claims != 2 {
		t.Errorf("the claim answers %+v", b)
	}
}

func renewAfterRelease(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.release(a, false)
	t.renew(a, ledger.ErrLost)
	t.notInvoking(a)
	t.finish(a, "stale", ledger.ErrLost)
	t.granted("k", "b")
}

func releaseTakesBack(tt *testing.T, e Env) {
	t := with(tt, e)
	t.release(t.invoking(t.granted("k", "a")), false)
	same(t, "attempts", t.claim("k", "b").Attempts, 0)
}

func releaseLeavesOthers(tt *testing.T, e Env) {
	t := with(tt, e)
	t.invoking(t.granted("k", "a"))
	t.Pass(ttl + time.Second)
	t.release(t.granted("k", "b"), false)
	same(t, "attempts", t.claim("k", "c").Attempts, 1)
	t.Pass(ttl + time.Second)
	t.release(t.invoking(t.granted("k", "d")), false)
	same(t, "attempts", t.claim("k", "e").Attempts, 1)
}

func releaseExecuted(tt *testing.T, e Env) {
	t := with(tt, e)
	t.release(t.invoking(t.granted("k", "a")), true)
	b := t.claim("k", "b")
	same(t, "attempts", b.Attempts, 1)
	same(t, "state", b.State, ledger.Queued)
}

func releaseRepeated(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.invoking(t.granted("k", "a"))
	t.release(a, false)
	t.release(a, false)
	b := t.invoking(t.granted("k", "b"))
	t.release(a, false)
	t.renew(b, nil)
	same(t, "attempts", t.lookup("k").Attempts, 1)
}

func releaseAfterUnknownInvoking(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.invoking(a) // its answer is lost, so the caller keeps the old hold and invokes nothing
	t.release(a, false)
	same(t, "attempts", t.claim("k", "b").Attempts, 0)
}

func releaseLost(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.Pass(ttl + time.Second)
	b := t.invoking(t.granted("k", "b"))
	t.release(a, false)
	t.renew(b, nil)
	same(t, "attempts", t.lookup("k").Attempts, 1)
	t.state("k", ledger.Invoking)
}

func invokingRepeated(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	same(t, "the hold", t.invoking(a), t.invoking(a))
	same(t, "attempts", t.lookup("k").Attempts, 1)
	t.invoking(t.invoking(a))
	t.invoking(a)
	same(t, "attempts, asked with the first hold after two", t.lookup("k").Attempts, 2)
}

func invokingAgain(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.invoking(t.invoking(t.granted("k", "a")))
	same(t, "the hold's attempts", a.Attempts, 2)
	same(t, "attempts", t.lookup("k").Attempts, 2)
}

func releaseAfterFinish(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.invoking(t.granted("k", "a"))
	t.finish(a, "event", nil)
	t.release(a, false)
	if b := t.refused("k", "b"); b.State != ledger.Done || b.Attempts != 1 {
		t.Errorf("the claim answers %+v", b)
	}
}

func wrongOwner(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	b := a
	b.Owner = "b"
	t.renew(b, ledger.ErrLost)
	t.notInvoking(b)
	t.finish(b, "event", ledger.ErrLost)
	b.Owner = ""
	t.release(a, false)
	t.renew(b, ledger.ErrLost)
}

func claimsCount(tt *testing.T, e Env) {
	t := with(tt, e)
	t.granted("k", "a")
	same(t, "while held", t.refused("k", "b").Claims, 1)
	t.Pass(ttl + time.Second)
	same(t, "after it ran out", t.claim("k", "c").Claims, 2)
}

func refusalIsHarmless(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.refused("k", "b")
	t.Pass(ttl * 2 / 3)
	t.refused("k", "b")
	t.renew(a, nil)
	a = t.invoking(a)
	t.refused("k", "b")
	t.finish(a, "event", nil)
	t.books(1, 1)
}
