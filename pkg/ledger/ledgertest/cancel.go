package ledgertest

import (
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

// cancelClaims test cancelled runs.
var cancelClaims = map[string]func(*testing.T, Env){
	"CancelBeforeTheRequestIsRemembered": cancelBeforeAccept,
	"CancelIsSeenByTheHolderOfTheRun":    cancelWhileHeld,
	"CancelComesTooLateForADoneRun":      cancelTooLate,
	"TheMarkOfACancellationExpires":      cancelExpires,
	"APutBackRunKeepsItsCancellation":    releaseKeepsCancel,
}

func cancelBeforeAccept(tt *testing.T, e Env) {
	t := with(tt, e)
	same(t, "the state", t.cancel("k"), ledger.Unknown)
	same(t, "the mark", t.cancelled("k"), true)
	t.books(0, 0)
	r := t.lookup("k")
	if r.State != ledger.Unknown || !r.Cancelled || r.Entry != entry("k") {
		t.Errorf("the mark reads %+v", r)
	}
	same(t, "the state before", t.accept("k"), ledger.Unknown)
	t.books(1, 0)
	t.Pass(Remember + time.Hour) // the mark of an accepted run stays for longer than Remember
	if a := t.claim("k", "w"); !a.Granted || !a.Cancelled || a.State != ledger.Queued {
		t.Errorf("the claim answers %+v", a)
	}
	t.cancel("other")
	if a := t.claim("other", "w"); !a.Granted || !a.Cancelled || !a.Fresh {
		t.Errorf("the claim of a run that was not accepted answers %+v", a)
	}
	t.books(2, 0)
}

func cancelWhileHeld(tt *testing.T, e Env) {
	t := with(tt, e)
	t.accept("k")
	same(t, "queued", t.cancel("k"), ledger.Queued)
	h := t.granted("k", "w")
	same(t, "claimed", t.cancel("k"), ledger.Claimed)
	h = t.invoking(h)
	same(t, "invoking", t.cancel("k"), ledger.Invoking)
	t.renew(h, nil)
	same(t, "the mark", t.cancelled("k"), true)
	if a := t.refused("k", "b"); !a.Cancelled {
		t.Errorf("the claim answers %+v", a)
	}
	t.finish(h, "event", nil)
	t.books(1, 1)
}

func cancelTooLate(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "w"), "event", nil)
	same(t, "done", t.cancel("k"), ledger.Done)
	same(t, "the mark", t.cancelled("k"), false)
	t.published("k")
	same(t, "published", t.cancel("k"), ledger.Published)
	same(t, "the mark", t.cancelled("k"), false)
}

func cancelExpires(tt *testing.T, e Env) {
	t := with(tt, e)
	t.cancel("k")
	t.Pass(Remember + time.Hour)
	same(t, "the mark", t.cancelled("k"), false)
}

func releaseKeepsCancel(tt *testing.T, e Env) {
	t := with(tt, e)
	h := t.granted("k", "w")
	t.cancel("k")
	t.release(h, false)
	if a := t.claim("k", "b"); !a.Granted || !a.Cancelled {
		t.Errorf("the claim answers %+v", a)
	}
}
