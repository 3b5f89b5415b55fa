package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

// lookClaims test Lookup, Open, Books and Backlogs, and calls without entries.
var lookClaims = map[string]func(*testing.T, Env){
	"LookupOfAnUnknownRunTellsItsKeyAlone":      lookupUnknown,
	"LookupTellsWhoHoldsTheRunAndForHowLong":    lookupHeld,
	"LookupTellsSinceWhen":                      lookupSince,
	"LookupOfAPublishedRunTellsOnlyHowItEnded":  lookupPublished,
	"ANoteOfWaitingOutlivesAReleaseNotAClaim":   waitOutlivesRelease,
	"ANoteOfWaitingEndsWithTheInvocation":       waitEndsWithInvoking,
	"OpenListsWhatIsNotFinishedTheOldestFirst":  openInOrder,
	"OpenListsRunsWhoseRecordIsForgotten":       openForgotten,
	"ARunThatIsAcceptedAgainKeepsItsPlace":      openKeepsPlace,
	"NothingIsAskedOfTheLedgerForNoRuns":        emptyCalls,
	"AnEndedContextIsAnErrorAndChangesNothing":  endedContext,
	"AnEndedContextDoesNotMeanThatRedisIsAway":  endedContextIsNotUnavailable,
	"AClaimThatRanOutReadsAsOneWithoutTimeLeft": lookupRanOut,
	"AReleasedRunIsQueuedAndHasNoOwner":         lookupReleased,
	"EntriesWithNothingButAKeyAreKeptAsTheyAre": bareEntry,
	"KeysThatBeginAlikeAreDifferentRuns":        keysAreIndependent,
	"TheLedgerKeepsItsOwnCopyOfAResult":         ownCopy,
}

func lookupUnknown(tt *testing.T, e Env) {
	t := with(tt, e)
	same(t, "the record", t.lookup("k"), ledger.Record{Entry: ledger.Entry{Key: "k"}})
}

func lookupHeld(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.Pass(ttl / 3)
	r := t.lookup("k")
	if r.State != ledger.Claimed || r.Owner != "a" || r.ClaimLeft <= ttl/2 || r.ClaimLeft > ttl*2/3+time.Second {
		t.Errorf("claimed, it reads %+v", r)
	}
	t.invoking(h)
	if r := t.lookup("k"); r.State != ledger.Invoking || r.Owner != "a" || r.Attempts != 1 || r.ClaimLeft <= ttl/2 {
		t.Errorf("invoking, it reads %+v", r)
	}
}

func lookupRanOut(tt *testing.T, e Env) {
	t := with(tt, e)
	t.granted("k", "a")
	t.Pass(2 * ttl)
	if r := t.lookup("k"); r.State != ledger.Claimed || r.ClaimLeft != 0 {
		t.Errorf("it reads %+v", r)
	}
}

func lookupReleased(tt *testing.T, e Env) {
	t := with(tt, e)
	t.release(t.granted("k", "a"), false)
	if r := t.lookup("k"); r.State != ledger.Queued || r.Owner != "" || r.ClaimLeft != 0 {
		t.Errorf("it reads %+v", r)
	}
}

func lookupSince(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	accepted := t.lookup("k").Since
	t.Pass(time.Hour)
	h := t.granted("k", "a")
	claimed := t.lookup("k").Since
	t.Pass(time.Minute)
	t.renew(h, nil)
	renewed := t.lookup("k").Since
	t.finish(h, "event", nil)
	finished := t.lookup("k").Since
	// Some Env.Pass do not move a clock but make the records older, which moves
	// Since back; so only the order of the times is compared.
	if accepted.IsZero() || claimed.Before(accepted) || renewed.After(claimed) || !finished.After(renewed) {
		t.Errorf("accepted %s, claimed %s, renewed %s, finished %s", accepted, claimed, renewed, finished)
	}
}

func lookupPublished(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.ok(t.Ledger.Wait(t.ctx, h, "a build"))
	t.finish(t.invoking(h), "event", nil)
	t.published("k")
	r := t.lookup("k")
	if r.Since.IsZero() {
		t.Error("it does not say since when")
	}
	r.Since = time.Time{}
	same(t, "the record", r, ledger.Record{Entry: ledger.Entry{Key: "k"}, State: ledger.Published, Status: "succeeded", Attempts: 1})
}

func waitOutlivesRelease(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.ok(t.Ledger.Wait(t.ctx, h, "a slot: 5 of 5 are taken"))
	same(t, "held", t.lookup("k").Waiting, "a slot: 5 of 5 are taken")
	t.release(h, false)
	same(t, "released", t.lookup("k").Waiting, "a slot: 5 of 5 are taken")
	t.ok(t.Ledger.Wait(t.ctx, h, "nothing"))
	same(t, "noted by a lost hold", t.lookup("k").Waiting, "a slot: 5 of 5 are taken")
	t.granted("k", "b")
	same(t, "claimed", t.lookup("k").Waiting, "")
}

func waitEndsWithInvoking(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	t.ok(t.Ledger.Wait(t.ctx, h, "a build"))
	h = t.invoking(h)
	same(t, "invoking", t.lookup("k").Waiting, "")
	t.ok(t.Ledger.Wait(t.ctx, h, "a throttle"))
	t.finish(h, "event", nil)
	same(t, "done", t.lookup("k").Waiting, "")
}

func openInOrder(tt *testing.T, e Env) {
	t := with(tt, e)
	for _, k := range []string{"c", "a", "b", "d"} {
		t.accept(k)
		t.Pass(time.Second)
	}
	t.granted("b", "w")
	t.finish(t.granted("a", "w"), "event", nil)
	t.cancel("never")
	all := t.open(10)
	if len(all) != 3 || all[0].Entry != entry("c") || all[1].Entry != entry("b") || all[2].Entry != entry("d") {
		t.Fatalf("open are %+v", all)
	}
	if all[1].State != ledger.Claimed || all[1].Owner != "w" {
		t.Errorf("the claimed one reads %+v", all[1])
	}
	if first := t.open(1); len(first) != 1 || first[0].Entry.Key != "c" {
		t.Errorf("the oldest is %+v", first)
	}
	if none := t.open(0); len(none) != 0 {
		t.Errorf("none are %+v", none)
	}
}

func openForgotten(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.Pass(Keep + time.Hour)
	open := t.open(10)
	if len(open) != 1 || open[0].Entry.Key != "k" || open[0].State != ledger.Unknown || open[0].Since.IsZero() {
		t.Errorf("open are %+v", open)
	}
	t.published("k")
	t.books(1, 1)
	if open := t.open(10); len(open) != 0 {
		t.Errorf("open are %+v", open)
	}
}

func openKeepsPlace(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	t.Pass(Keep + time.Hour)
	t.accept("later")
	t.Pass(time.Second)
	t.accept("k")
	if open := t.open(1); len(open) != 1 || open[0].Entry != entry("k") {
		t.Errorf("the oldest is %+v", open)
	}
}

func (t tester) open(limit int) []ledger.Record {
	t.Helper()
	rs, err := t.Ledger.Open(t.ctx, limit)
	t.ok(err)
	return rs
}

func emptyCalls(tt *testing.T, e Env) {
	t := with(tt, e)
	_, err := t.Ledger.Accept(t.ctx, nil)
	t.ok(err)
	_, err = t.Ledger.Claim(t.ctx, nil, ttl)
	t.ok(err)
	_, err = t.Ledger.Renew(t.ctx, nil, ttl)
	t.ok(err)
	_, err = t.Ledger.Finish(t.ctx, nil)
	t.ok(err)
	t.ok(t.Ledger.Published(t.ctx, nil))
	_, err = t.Ledger.Cancelled(t.ctx, nil)
	t.ok(err)
	t.books(0, 0)
}

func endedContext(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "a")
	for name, err := range callAll(t.Ledger, h) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s fails with %v", name, err)
		}
	}
	t.state("k", ledger.Claimed)
	t.books(1, 0)
}

func endedContextIsNotUnavailable(tt *testing.T, e Env) {
	t := with(tt, e)
	for name, err := range callAll(t.Ledger, t.granted("k", "a")) {
		if errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("%s fails with %v", name, err)
		}
	}
}

// callAll calls every method with a context that has ended.
func callAll(l ledger.Ledger, h ledger.Hold) map[string]error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return CallAll(ctx, l, h)
}

func bareEntry(tt *testing.T, e Env) {
	t := with(tt, e)
	_, err := t.Ledger.Accept(t.ctx, []ledger.Entry{{Key: "k"}})
	t.ok(err)
	same(t, "the entry", t.lookup("k").Entry, ledger.Entry{Key: "k"})
}

func keysAreIndependent(tt *testing.T, e Env) {
	t := with(tt, e)
	for _, k := range []string{"a", "a:b", "a b", "", "open", "finished", "run:a"} {
		same(t, k, t.accept(k), ledger.Unknown)
	}
	t.finish(t.granted("a", "w"), "event", nil)
	t.state("a:b", ledger.Queued)
	t.books(7, 1)
}

func ownCopy(tt *testing.T, e Env) {
	t := with(tt, e)
	result := []byte("event")
	_, err := t.Ledger.Finish(t.ctx, []ledger.Finish{{Hold: t.granted("k", "a"), Status: "failed", Result: result}})
	t.ok(err)
	result[0] = 'X'
	got := t.refused("k", "b").Result
	same(t, "the result", string(got), "event")
	got[0] = 'X'
	same(t, "the result", string(t.refused("k", "b").Result), "event")
}
