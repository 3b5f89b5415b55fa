package ledgertest

import (
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

// forgetClaims test a ledger that loses all its records.
var forgetClaims = map[string]func(*testing.T, Env){
	"AForgottenRunIsClaimedAsNewAndSaysSo":              claimForgotten,
	"ARenewalPutsAForgottenRunBack":                     renewPutsBack,
	"ARenewalPutsAForgottenInvocationBack":              renewPutsInvocationBack,
	"AnInvocationPutsAForgottenRunBackAndHoldsIt":       invokingPutsBack,
	"AReleasePutsAForgottenRunBackWithItsAttempts":      releasePutsBack,
	"AFinishPutsAForgottenRunBackAsDone":                finishPutsBack,
	"AFinishAfterAnAcceptThatForgotIsTakenAndCounted":   finishAfterReaccept,
	"AClaimAfterForgettingWinsOverTheHolderBefore":      claimAfterFlushWins,
	"FencesRiseAcrossAFlush":                            fencesRiseAcrossFlush,
	"OfTwoHoldersPutBackTheGreaterFenceWins":            greaterFenceWins,
	"AHolderLostBeforeTheFlushDoesNotWinAfterIt":        loserStaysLoser,
	"TheBooksStartAgainTogether":                        booksStartAgain,
	"APublicationAfterForgettingKeepsTheIdentity":       publishedForgotten,
	"APublicationEndsARunThatWasClaimedAfterForgetting": publishedBeatsClaim,
	"WhatWasNotedOfAForgottenRunIsNotPutBack":           waitForgotten,
	"AForgottenCancellationIsForgotten":                 cancelForgotten,
}

func claimForgotten(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.invoking(t.granted("k", "a"))
	t.Flush()
	b := t.claim("k", "b")
	if !b.Granted || !b.Fresh || b.State != ledger.Unknown || b.Attempts != 1 || b.Claims != 1 {
		t.Errorf("the claim answers %+v", b)
	}
}

func renewPutsBack(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.Flush()
	t.renew(h, nil)
	if b := t.refused("k", "b"); b.State != ledger.Claimed || b.HeldBy != "a" || b.HeldFor < ttl/2 {
		t.Errorf("the claim answers %+v", b)
	}
	same(t, "the entry", t.lookup("k").Entry, entry("k"))
	t.books(1, 0)
	t.finish(t.invoking(h), "event", nil)
	t.books(1, 1)
}

func renewPutsInvocationBack(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.invoking(t.granted("k", "a"))
	t.Flush()
	t.renew(h, nil)
	t.state("k", ledger.Invoking)
	t.Pass(ttl + time.Second)
	if b := t.claim("k", "b"); !b.Granted || b.Attempts != 1 || b.State != ledger.Invoking || b.Hold.Fence <= h.Fence {
		t.Errorf("the claim answers %+v after the hold %+v", b, h)
	}
}

func invokingPutsBack(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.Flush()
	h = t.invoking(h)
	if b := t.refused("k", "b"); b.State != ledger.Invoking || b.HeldBy != "a" || b.Attempts != 1 {
		t.Errorf("the claim answers %+v", b)
	}
	t.renew(h, nil)
	t.books(1, 0)
}

func releasePutsBack(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.invoking(t.granted("k", "a"))
	t.Flush()
	t.release(h, true)
	b := t.claim("k", "b")
	if !b.Granted || b.State != ledger.Queued || b.Attempts != 1 || b.Fresh || b.Hold.Fence <= h.Fence {
		t.Errorf("the claim answers %+v after the hold %+v", b, h)
	}
	t.renew(h, ledger.ErrLost)
	t.books(1, 0)
}

func finishPutsBack(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.invoking(t.granted("k", "a"))
	t.Flush()
	t.finish(h, "event", nil)
	t.books(1, 1)
	if b := t.refused("k", "b"); b.State != ledger.Done || string(b.Result) != "event" || b.Attempts != 1 {
		t.Errorf("the claim answers %+v", b)
	}
	same(t, "accepting it again", t.accept("k"), ledger.Done)
	t.books(1, 1)
}

func finishAfterReaccept(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.invoking(t.granted("k", "a"))
	t.Flush()
	t.accept("k")
	t.books(1, 0)
	t.finish(h, "event", nil)
	t.books(1, 1)
	same(t, "the claim's result", string(t.refused("k", "b").Result), "event")
}

func claimAfterFlushWins(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.invoking(t.granted("k", "a"))
	t.Flush()
	b := t.granted("k", "b")
	t.renew(a, ledger.ErrLost)
	t.notInvoking(a)
	t.finish(a, "stale", ledger.ErrLost)
	t.release(a, true)
	t.renew(b, nil)
	t.books(1, 0)
}

func fencesRiseAcrossFlush(tt *testing.T, e Env) {
	t := with(tt, e)
	var last int64
	for range 5 {
		h := t.granted("k", "a")
		if h.Fence <= last {
			t.Errorf("fence %d after %d", h.Fence, last)
		}
		last = h.Fence
		t.Flush()
	}
}

func greaterFenceWins(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.Pass(ttl + time.Second)
	b := t.invoking(t.granted("k", "b"))
	t.Flush()
	t.renew(a, nil) // puts the older hold's claim back
	t.renew(b, nil) // replaces it, since b has the greater fence
	t.renew(a, ledger.ErrLost)
	t.finish(a, "stale", ledger.ErrLost)
	c := t.refused("k", "c")
	if c.HeldBy != "b" || c.State != ledger.Invoking || c.Attempts != 1 {
		t.Errorf("the claim answers %+v", c)
	}
	t.books(1, 0)
	t.finish(b, "event", nil)
	t.books(1, 1)
}

func loserStaysLoser(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.granted("k", "a")
	t.Pass(ttl + time.Second)
	b := t.granted("k", "b")
	t.Flush()
	t.renew(b, nil)
	t.renew(a, ledger.ErrLost)
	t.finish(a, "stale", ledger.ErrLost)
	t.finish(b, "event", nil)
}

func booksStartAgain(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("done", "a"), "event", nil)
	h := t.granted("open", "a")
	t.accept("waiting")
	t.books(3, 1)
	t.Flush()
	t.books(0, 0)
	t.published("done")
	t.books(0, 0)
	t.finish(h, "event", nil)
	t.books(1, 1)
	t.published("open")
	t.books(1, 1)
	t.granted("waiting", "b")
	t.books(2, 1)
}

func publishedForgotten(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "a"), "event", nil)
	t.Flush()
	t.published("k")
	same(t, "accepting it again", t.accept("k"), ledger.Published)
	same(t, "the claim's state", t.refused("k", "b").State, ledger.Published)
	t.books(0, 0)
}

func publishedBeatsClaim(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "a"), "event", nil)
	t.Flush()
	b := t.granted("k", "b")
	t.published("k")
	t.renew(b, ledger.ErrLost)
	t.finish(b, "twice", ledger.ErrLost)
	t.books(1, 1)
}

func waitForgotten(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.Flush()
	t.ok(t.Ledger.Wait(t.ctx, h, "a build"))
	t.state("k", ledger.Unknown)
	t.books(0, 0)
}

func cancelForgotten(tt *testing.T, e Env) {
	t := with(tt, e)
	t.cancel("k")
	t.Flush()
	same(t, "the mark", t.cancelled("k"), false)
}
