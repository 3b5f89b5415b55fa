package ledgertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// lifeClaims test the life of one run, from Accept to the record that Published
// leaves.
var lifeClaims = map[string]func(*testing.T, Env){
	"AWholeLifeIsCountedOnce":                     wholeLife,
	"AcceptTellsWhetherARunNeedsSending":          acceptTellsState,
	"ARunThatWasNotAcceptedCanBeClaimed":          claimOfUnknown,
	"ManyRunsShareACallAndAreAnsweredInOrder":     manyInOrder,
	"OneCallMayNameARunTwice":                     sameRunTwice,
	"ADoneRunIsNotGrantedAndGivesItsResult":       doneGivesResult,
	"TwoDeliveriesThatFindARunDoneBothGetIt":      twoFindDone,
	"APublishedRunGivesNoResult":                  publishedGivesNothing,
	"PublishedTwiceIsPublishedOnce":               publishedTwice,
	"AFinishRepeatedIsTheSame":                    finishRepeated,
	"AnIdentityIsForgottenOnlyAfterItsTime":       identityExpires,
	"AnOpenRunIsRememberedAsLongAsAQueueKeepsIt":  openIsKept,
	"ResultsMayHoldAnyBytes":                      anyBytes,
	"FinishedRunsAreCountedByStatus":              countedByStatus,
	"AFinishedRunThatIsAcceptedAgainIsNoNewRun":   acceptAfterFinish,
	"ARejectedRunMayFinishWithoutBeingInvoked":    finishWithoutInvoking,
	"TheHoldOfAGrantNamesTheGrant":                holdNamesGrant,
	"ARunThatWasReleasedOftenIsStillOneRun":       releasedOften,
	"FencesRiseFromGrantToGrant":                  fencesRise,
	"APublicationOfAForgottenRunIsCountedNowhere": publishedUnknownTwice,
}

func wholeLife(tt *testing.T, e Env) {
	t := with(tt, e)
	same(t, "the state before", t.accept("k"), ledger.Unknown)
	t.books(1, 0)
	a := t.claim("k", "w")
	if !a.Granted || a.State != ledger.Queued || a.Fresh || a.Attempts != 0 || a.Claims != 1 {
		t.Errorf("the claim answers %+v", a)
	}
	t.state("k", ledger.Claimed)
	h := t.invoking(a.Hold)
	same(t, "the hold's count of attempts", h.Attempts, 1)
	same(t, "the hold's Invoking", h.Invoking, true)
	t.state("k", ledger.Invoking)
	t.books(1, 0)
	t.finish(h, "event", nil)
	t.books(1, 1)
	t.published("k")
	t.books(1, 1)
	t.state("k", ledger.Published)
}

func acceptTellsState(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	same(t, "accepted", t.accept("k"), ledger.Queued)
	h := t.granted("k", "w")
	same(t, "claimed", t.accept("k"), ledger.Claimed)
	h = t.invoking(h)
	same(t, "invoking", t.accept("k"), ledger.Invoking)
	t.finish(h, "event", nil)
	same(t, "done", t.accept("k"), ledger.Done)
	t.published("k")
	same(t, "published", t.accept("k"), ledger.Published)
	t.books(1, 1)
}

func claimOfUnknown(tt *testing.T, e Env) {
	t := with(tt, e)
	a := t.claim("k", "w")
	if !a.Granted || !a.Fresh || a.State != ledger.Unknown {
		t.Errorf("the claim answers %+v", a)
	}
	t.books(1, 0)
	same(t, "the entry", t.lookup("k").Entry, entry("k"))
}

func manyInOrder(tt *testing.T, e Env) {
	t := with(tt, e)
	const n = 601 // more than one script of redisledger handles
	var es []ledger.Entry
	var cs []ledger.Claim
	var keys []run.Key
	for i := range n {
		es = append(es, entry(fmt.Sprint("k", i)))
		cs = append(cs, ledger.Claim{Entry: es[i], Owner: fmt.Sprint("w", i)})
		keys = append(keys, es[i].Key)
	}
	t.granted("k7", "other")
	states, err := t.Ledger.Accept(t.ctx, es)
	t.ok(err)
	for i, s := range states {
		if want := map[bool]ledger.State{true: ledger.Claimed}[i == 7]; s != want {
			t.Fatalf("run %d was %q", i, s)
		}
	}
	answers, err := t.Ledger.Claim(t.ctx, cs, ttl)
	t.ok(err)
	var holds []ledger.Hold
	var ends []ledger.Finish
	for i, a := range answers {
		if a.Granted == (i == 7) {
			t.Fatalf("claim %d answers %+v", i, a)
		}
		h := a.Hold
		if i == 7 {
			h = ledger.Hold{Entry: es[i], Owner: "w7", Fence: 1}
		}
		if h.Entry != es[i] || h.Owner != cs[i].Owner {
			t.Fatalf("claim %d answers with the hold %+v", i, h)
		}
		holds, ends = append(holds, h), append(ends, ledger.Finish{Hold: h, Status: run.Failed, Result: []byte(es[i].Key)})
	}
	renewed, err := t.Ledger.Renew(t.ctx, holds, ttl)
	t.ok(err)
	finished, err := t.Ledger.Finish(t.ctx, ends)
	t.ok(err)
	for i := range n {
		var want error
		if i == 7 {
			want = ledger.ErrLost
		}
		t.is(renewed[i], want, "Renew")
		t.is(finished[i], want, "Finish")
	}
	t.books(n, n-1)
	if a := t.refused("k11", "late"); string(a.Result) != "k11" {
		t.Errorf("the result of k11 is %q", a.Result)
	}
	t.ok(t.Ledger.Published(t.ctx, append(keys[:7:7], keys[8:]...)))
	t.state("k600", ledger.Published)
	t.state("k7", ledger.Claimed)
	t.cancel("k7")
	marks, err := t.Ledger.Cancelled(t.ctx, keys)
	t.ok(err)
	for i, m := range marks {
		same(t, fmt.Sprint("the mark of run ", i), m, i == 7)
	}
}

func sameRunTwice(tt *testing.T, e Env) {
	t := with(tt, e)
	states, err := t.Ledger.Accept(t.ctx, []ledger.Entry{entry("k"), entry("k")})
	t.ok(err)
	same(t, "the first", states[0], ledger.Unknown)
	same(t, "the second", states[1], ledger.Queued)
	answers, err := t.Ledger.Claim(t.ctx, []ledger.Claim{{Entry: entry("k"), Owner: "a"}, {Entry: entry("k"), Owner: "b"}}, ttl)
	t.ok(err)
	if !answers[0].Granted || answers[1].Granted || answers[1].HeldBy != "a" {
		t.Errorf("two claims in one call are answered %+v", answers)
	}
	h := answers[0].Hold
	t.finish(h, "event", nil)
	t.ok(t.Ledger.Published(t.ctx, []run.Key{"k", "k"}))
	t.books(1, 1)
}

func doneGivesResult(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.invoking(t.granted("k", "w")), "event", nil)
	t.Pass(10 * ttl) // a Done run has no claim that could run out
	a := t.refused("k", "b")
	if a.State != ledger.Done || string(a.Result) != "event" || a.HeldBy != "" || a.Attempts != 1 {
		t.Errorf("the claim answers %+v", a)
	}
	same(t, "the status", t.lookup("k").Status, run.Succeeded)
}

func twoFindDone(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "w"), "event", nil)
	for _, owner := range []string{"b", "c"} {
		if a := t.refused("k", owner); a.State != ledger.Done || string(a.Result) != "event" {
			t.Errorf("%s is answered %+v", owner, a)
		}
	}
	t.published("k")
	t.published("k")
	t.books(1, 1)
}

func publishedGivesNothing(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "w")
	t.finish(h, "event", nil)
	t.published("k")
	if a := t.refused("k", "b"); a.State != ledger.Published || len(a.Result) != 0 {
		t.Errorf("the claim answers %+v", a)
	}
	t.finish(h, "event", ledger.ErrLost)
	t.renew(h, ledger.ErrLost)
	t.notInvoking(h)
	t.release(h, false)
	t.state("k", ledger.Published)
}

func publishedTwice(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "w"), "event", nil)
	t.published("k")
	t.Pass(Remember / 2)
	t.published("k")
	same(t, "the status", t.lookup("k").Status, run.Succeeded)
	t.Pass(Remember/2 + time.Hour)
	t.state("k", ledger.Unknown)
}

func publishedUnknownTwice(tt *testing.T, e Env) {
	t := with(tt, e)
	t.published("k")
	t.published("k")
	t.books(0, 0)
	t.state("k", ledger.Published)
}

func finishRepeated(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "w")
	t.finish(h, "event", nil)
	t.finish(h, "other", nil)
	if a := t.refused("k", "b"); string(a.Result) != "event" {
		t.Errorf("the result is %q", a.Result)
	}
	t.books(1, 1)
	other := h
	other.Owner = "b"
	t.finish(other, "other", ledger.ErrLost)
	other.Fence++
	t.finish(other, "other", ledger.ErrLost)
}

func identityExpires(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "w"), "event", nil)
	t.published("k")
	t.Pass(Remember - time.Hour)
	same(t, "before its time", t.accept("k"), ledger.Published)
	t.Pass(2 * time.Hour)
	same(t, "after it", t.accept("k"), ledger.Unknown)
	t.books(2, 1)
}

func openIsKept(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.Pass(Keep - time.Hour)
	t.state("k", ledger.Queued)
	t.granted("k", "w")
	t.Pass(Keep - time.Hour)
	t.state("k", ledger.Claimed)
	t.Pass(2 * time.Hour)
	t.state("k", ledger.Unknown)
	t.finish(t.granted("done", "w"), "event", nil)
	h := t.granted("late", "w")
	t.Pass(Keep - time.Hour)
	t.finish(h, "event", nil)
	t.Pass(2 * time.Hour)
	t.state("done", ledger.Unknown)
	t.state("late", ledger.Done)
	t.books(3, 2)
	// The run stays in the books: it was accepted, and how it ended is lost.
	t.accept("k")
	t.books(3, 2)
}

func anyBytes(tt *testing.T, e Env) {
	t := with(tt, e)
	result := "\x00\r\n\xff\"" + string(make([]byte, 100_000))
	t.finish(t.granted("k", "w\x00 w"), result, nil)
	if a := t.refused("k", "b"); string(a.Result) != result {
		t.Errorf("the result of %d bytes came back as %d bytes", len(result), len(a.Result))
	}
}

func countedByStatus(tt *testing.T, e Env) {
	t := with(tt, e)
	var fs []ledger.Finish
	for i, s := range run.Statuses {
		for j := range i + 1 {
			fs = append(fs, ledger.Finish{Hold: t.granted(fmt.Sprint(s, j), "w"), Status: s})
		}
	}
	_, err := t.Ledger.Finish(t.ctx, fs)
	t.ok(err)
	b, err := t.Ledger.Books(t.ctx)
	t.ok(err)
	for i, s := range run.Statuses {
		same(t, string(s), b.Finished[s], int64(i+1))
		t.published(fmt.Sprint(s, 0))
		same(t, "the status", t.lookup(fmt.Sprint(s, 0)).Status, s)
	}
}

func acceptAfterFinish(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "w"), "event", nil)
	t.accept("k")
	t.published("k")
	t.accept("k")
	t.state("k", ledger.Published)
	t.books(1, 1)
}

func finishWithoutInvoking(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.finish(t.granted("k", "w"), "event", nil)
	if a := t.refused("k", "b"); a.Attempts != 0 || a.State != ledger.Done {
		t.Errorf("the claim answers %+v", a)
	}
}

func holdNamesGrant(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "w")
	if h.Entry != entry("k") || h.Owner != "w" || h.Fence <= 0 || h.Attempts != 0 || h.Invoking {
		t.Errorf("the hold is %+v", h)
	}
}

func releasedOften(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	for i := range 20 {
		a := t.claim("k", fmt.Sprint("w", i))
		if a.Claims != i+1 || a.Attempts != 0 || !a.Granted {
			t.Fatalf("claim %d answers %+v", i, a)
		}
		t.release(a.Hold, false)
	}
	t.books(1, 0)
}

func fencesRise(tt *testing.T, e Env) {
	t := with(tt, e)
	var last int64
	for i := range 20 {
		h := t.granted("k", fmt.Sprint("w", i))
		if h.Fence <= last {
			t.Fatalf("fence %d after %d", h.Fence, last)
		}
		last = h.Fence
		if i%2 == 0 {
			t.release(h, false)
		} else {
			t.Pass(ttl + time.Second)
		}
	}
}
