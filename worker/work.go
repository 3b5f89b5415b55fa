package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// work walks one delivery to its verdict. A step that returns a verdict ends
// the way.
func (w *Worker) work(h *held) verdict {
	if v := w.decode(h); v != nil {
		return *v
	}
	if v := w.claim(h); v != nil {
		return *v
	}
	built, v := w.build(h)
	if v != nil {
		return *v
	}
	if h.run.Type == run.TypeSaved {
		return answer(h.result(run.Succeeded, nil, built))
	}
	give, v := w.slot(h)
	if v != nil {
		return *v
	}
	defer give()
	return w.invoke(h, built)
}

// decode reads the request again: the dispatcher has admitted it, so what can't
// be read here was put on the partition by somebody else.
func (w *Worker) decode(h *held) *verdict {
	r, refused := w.deps.Policy.Decode(h.delivery.Body, time.Now())
	if err := claimcheck.Problem(h.delivery); err != nil {
		refused = &run.Error{Owner: run.OwnerAuthor, Type: "InvalidClaimCheck", Message: err.Error()}
	}
	h.run = r
	h.timeline = run.NewTimeline(run.RequestedAt(h.delivery.Attributes, h.delivery.SentAt))
	h.timeline.Mark(run.StageIntake, h.delivery.SentAt)
	if refused != nil && !r.Attributable() {
		return &verdict{kind: bury, reason: refused}
	}
	h.refused = refused
	return nil
}

// claim asks the ledger for the run, and so learns what became of it before:
// nothing is answered without it. A call under way is let finish, whatever ends
// the waiting, since the claim that it brings is to be given back.
func (w *Worker) claim(h *held) *verdict {
	if h.wait.Err() != nil {
		return ptr(w.interrupted(h, context.Cause(h.wait)))
	}
	known, err := retryWhileAway(h.wait, w, func() (ledger.Answer, error) {
		h.renew(time.Now())
		return w.claims.Do(uncut(h.work), ledger.Claim{Entry: ledger.EntryOf(h.run), Owner: h.owner(w.cfg.Name)})
	})
	if err != nil {
		return ptr(w.interrupted(h, err))
	}
	w.breaker.Close()
	switch {
	case known.State == ledger.Published:
		return &verdict{kind: remove}
	case known.State == ledger.Done:
		return &verdict{kind: republish, stored: known.Result}
	case !known.Granted:
		return &verdict{kind: putBack, delay: jitter(time.Second, known.HeldFor), why: "another worker has it"}
	}
	h.granted(known.Hold, false)
	h.attempts = known.Attempts
	return w.admit(h, known)
}

// admit decides whether a run that is claimed is to be begun at all.
func (w *Worker) admit(h *held, known ledger.Answer) *verdict {
	switch {
	case h.refused != nil:
		return ptr(answer(h.result(run.Rejected, h.refused, builds.Built{})))
	case known.Cancelled:
		return ptr(answer(h.result(run.Cancelled, cancelledError(h), builds.Built{})))
	case h.mayHaveExecuted() && h.run.Data.Delivery == run.AtMostOnce:
		return ptr(answer(h.result(run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "MayHaveExecuted",
			Message: "A worker was lost while this run was under way, so the script may have run. It was not run again, as the request's delivery is at-most-once: check what it did before sending it again under another id.",
		}, builds.Built{})))
	case h.attempts >= w.cfg.MaxAttempts:
		return ptr(answer(h.result(run.PlatformError, exhausted(h), builds.Built{})))
	case h.run.Expired(time.Now()):
		return ptr(answer(expired(h)))
	case h.run.Data.ExpiresAt != nil:
		h.expireAt(*h.run.Data.ExpiresAt)
	}
	return nil
}

// build sees that the script's function is there. What is built already is
// known without a round trip; else the delivery is parked and takes no turn.
func (w *Worker) build(h *held) (builds.Built, *verdict) {
	if built, ok := w.deps.Builds.Known(h.run.Script); ok {
		return built, nil
	}
	h.timeline.Mark(run.StageQueue, time.Now())
	if !w.inflight.park(h) {
		return builds.Built{}, &verdict{kind: putBack, delay: w.backoff(h), why: "too many runs wait for builds here"}
	}
	priority := builds.ForRun
	if h.run.Type == run.TypeSaved {
		priority = builds.Ahead
	}
	telling := time.AfterFunc(noteAfter, func() { w.note(h, w.whoBuilds(h.run.Script)) })
	built, err := w.deps.Builds.Ensure(h.wait, h.run.Script, priority)
	telling.Stop()
	w.inflight.unpark(h)

	var failed *builds.FailedError
	if errors.As(err, &failed) {
		built = failed.Built
	}
	if built.Led > 0 {
		h.timeline.Spend(run.StageBuildWait, built.Waited, time.Now())
		h.timeline.Mark(run.StageBuild, time.Now())
		w.turns.charge(h.run.Tenant, built.Led)
	} else {
		h.timeline.Mark(run.StageBuildWait, time.Now())
	}
	switch {
	case failed != nil:
		return built, ptr(answer(h.result(run.BuildFailed, failed.Reason, built)))
	case errors.Is(err, builds.ErrClosed):
		return built, &verdict{kind: putBack, why: "the worker is stopping"}
	case err != nil:
		return built, ptr(w.interrupted(h, err))
	}
	return built, nil
}

// noteAfter is how long a build may take before explain is told of it.
const noteAfter = 500 * time.Millisecond

func (w *Worker) whoBuilds(s run.Script) string {
	switch leader, busy := w.deps.Builds.Busy(s.Hash); {
	case leader != "":
		return fmt.Sprintf("the build of script %s, which worker %s leads", s.Hash, leader)
	case busy:
		return fmt.Sprintf("the build of script %s, which waits for a place among the builds of worker %s", s.Hash, w.cfg.Name)
	}
	return fmt.Sprintf("the build of script %s", s.Hash)
}

// slot waits for the run's turn in this worker, and then for one of its
// tenant's slots in the fleet. A run over its cap gives its turn back. It stays
// in hand for a moment, to take the place of the tenant's next run here that
// ends; then it is put back.
func (w *Worker) slot(h *held) (give func(), v *verdict) {
	var patience context.Context
	for {
		give, over, v := w.turn(h)
		if over == nil {
			return give, v
		}
		if patience == nil {
			w.note(h, over.why)
			ctx, cancel := context.WithTimeout(h.wait, cappedWait)
			defer cancel()
			patience = ctx
		}
		if over.script || patience.Err() != nil {
			return nil, &verdict{kind: putBack, delay: w.backoff(h), why: over.why}
		}
		w.inflight.capped(patience, h)
	}
}

// overCap is a cap that stands in a run's way.
type overCap struct {
	why    string
	script bool // that of the script, not of the whole tenant
}

// turn takes the run's turn, and its tenant's slots.
func (w *Worker) turn(h *held) (give func(), over *overCap, v *verdict) {
	limits := w.deps.Tenants.Limits(h.run.Tenant)
	if err := w.turns.take(h.wait, h.run.Tenant, float64(limits.Weight)); err != nil {
		return nil, nil, ptr(w.interrupted(h, err))
	}
	start := time.Now()
	giveTurn := func() { w.turns.give(h.run.Tenant, time.Since(start)) }

	over, err := w.takeSlots(h, limits)
	switch {
	case err != nil:
		giveTurn()
		return nil, nil, ptr(w.interrupted(h, err))
	case over != nil:
		giveTurn()
		return nil, over, nil
	}
	h.timeline.Mark(run.StageQueue, time.Now())
	w.inflight.hasSlots(h)
	return func() {
		giveTurn()
		// Beside the result's way out, which must not wait for it.
		h.giving.Go(func() { w.giveSlots(h); w.inflight.gaveSlots(h) })
	}, nil, nil
}

// takeSlots takes the tenant's and the script's slots in the fleet, as far as
// they are capped, and tells which cap stands in the way. When the slots are out
// of reach the run goes on without: a helper's absence must not stop it.
func (w *Worker) takeSlots(h *held, limits tenant.Limits) (over *overCap, err error) {
	if limits.MaxRunning == 0 {
		// Also while the slots are out of reach.
		return &overCap{"tenant " + h.run.Tenant + ", which is stopped: its max_running is 0", false}, nil
	}
	asks := []struct {
		ask slot.Ask
		overCap
	}{
		{slot.Ask{Scope: slot.Scope("tenant", h.run.Tenant), Cap: limits.MaxRunning}, overCap{"the cap of tenant " + h.run.Tenant, false}},
		{slot.Ask{Scope: slot.Scope("script", string(h.run.Script.Hash)), Cap: limits.MaxRunningPerScript}, overCap{"the cap of script " + string(h.run.Script.Hash), true}},
	}
	for _, a := range asks {
		if a.ask.Cap == tenant.NoCap {
			continue
		}
		a.ask.Owner = h.owner(w.cfg.Name)
		// The answer is waited for, whatever ends: a slot that was granted unheard
		// would be missing to the tenant until it runs out.
		ok, err := w.slots.Do(uncut(h.wait), a.ask)
		if ok || err != nil { // without an answer it may have been granted
			h.mu.Lock()
			h.slots = append(h.slots, a.ask)
			h.mu.Unlock()
		}
		switch {
		case h.wait.Err() != nil:
			w.giveSlots(h)
			return nil, context.Cause(h.wait)
		case err != nil:
			w.log.Warn("the tenants' slots are out of reach; running without them", zap.Error(err))
			return nil, nil
		case !ok:
			w.giveSlots(h)
			return &overCap{fmt.Sprintf("%s: %d runs execute already", a.why, a.ask.Cap), a.script}, nil
		}
	}
	return nil, nil
}

// giveSlots gives the run's slots in the fleet back.
func (w *Worker) giveSlots(h *held) {
	h.mu.Lock()
	asks := h.slots
	h.slots = nil
	h.mu.Unlock()
	w.freeSlots(h.work, asks)
}

func ptr[T any](v T) *T { return &v }
