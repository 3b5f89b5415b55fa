package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// slot waits for the run's turn in this worker, and then takes its tenant's
// slots in the fleet. A run over a cap gives its turn back. It stays in hand
// for cappedWait, to follow the tenant's next run here that ends; then it is
// put back.
func (w *Worker) slot(h *held) error {
	if h.hasTurn() {
		return nil
	}
	var patience context.Context
	for {
		over, err := w.turn(h.wait, h)
		if over == nil {
			return err
		}
		if patience == nil {
			w.note(h, over.why)
			ctx, cancel := context.WithTimeout(h.wait, cappedWait)
			defer cancel()
			patience = ctx
		}
		if over.script || patience.Err() != nil {
			return over
		}
		w.inflight.capped(patience, h)
	}
}

// overCap is the cap that a run would exceed.
type overCap struct {
	why     string
	script  bool // the script's cap, not the tenant's
	stopped bool // the tenant is stopped or paused
}

func (o *overCap) Error() string { return o.why }

// turn takes the run's turn, and then its tenant's slots.
func (w *Worker) turn(ctx context.Context, h *held) (*overCap, error) {
	limits := w.deps.Tenants.Limits(h.run.Tenant)
	if err := w.turns.take(ctx, h.run.Tenant, float64(limits.Weight)); err != nil {
		return nil, err
	}
	h.began = time.Now()
	if over, err := w.takeSlots(h, limits); over != nil || err != nil {
		w.giveTurnBack(h)
		return over, err
	}
	h.timeline.Mark(run.StageQueue, time.Now())
	w.inflight.hasSlots(h)
	return nil, nil
}

func tenantScope(name string) string { return slot.Scope("tenant", name) }

// takeSlots takes the tenant's and the script's slots in the fleet, where they
// have caps. It returns the cap that the run would exceed. While Redis is out
// of reach, the run goes on without slots.
func (w *Worker) takeSlots(h *held, limits tenant.Limits) (*overCap, error) {
	if limits.MaxRunning == 0 {
		// A stopped tenant's runs wait also while Redis is out of reach.
		why := ", which is stopped: its max_running is 0"
		if limits.Paused {
			why = ", which is paused until scriptfleet tenants resume"
		}
		return &overCap{why: "tenant " + h.run.Tenant + why, stopped: true}, nil
	}
	asks := []struct {
		ask slot.Ask
		overCap
	}{
		{slot.Ask{Scope: tenantScope(h.run.Tenant), Cap: limits.MaxRunning}, overCap{why: "the cap of tenant " + h.run.Tenant}},
		{slot.Ask{Scope: slot.Scope("script", string(h.run.Script.Hash)), Cap: limits.MaxRunningPerScript}, overCap{why: "the cap of script " + string(h.run.Script.Hash), script: true}},
	}
	for _, a := range asks {
		if a.ask.Cap == tenant.NoCap {
			continue
		}
		if w.spares.take(h, a.ask) {
			continue
		}
		a.ask.Owner = h.owner(w.cfg.Name)
		// The answer must be received: a slot that was granted unnoticed would be
		// missing to the tenant until it expires.
		ok, err := w.slots.Do(uncut(h.wait), a.ask)
		if ok || err != nil { // without an answer it may have been granted
			granted := a.ask
			if err != nil {
				granted.Cap = 0 // it must not be kept: another run could use a slot that is none
			}
			h.mu.Lock()
			h.slots = append(h.slots, granted)
			h.mu.Unlock()
		}
		switch {
		case h.wait.Err() != nil:
			return nil, context.Cause(h.wait)
		case err != nil:
			w.faults.slots.Met(err)
			return nil, nil
		case !ok:
			return &overCap{why: fmt.Sprintf("%s: %d runs execute already", a.why, a.ask.Cap), script: a.script}, nil
		}
	}
	return nil, nil
}

// giveTurnBack gives back the slots and the turn of a run that goes on without.
func (w *Worker) giveTurnBack(h *held) {
	if !h.hasTurn() {
		return
	}
	w.freeSlots(h)
	w.inflight.gaveSlots(h)
	w.turns.give(h.run.Tenant, time.Since(h.began))
	h.began = time.Time{}
}

// giveBack gives back a run's turn and slots: the turn at once, and the slots
// in a goroutine of their own, so that the result does not wait for them.
func (w *Worker) giveBack(h *held) {
	if !h.hasTurn() {
		return
	}
	h.giving.Go(func() {
		defer w.inflight.gaveSlots(h)
		w.guard.Catch(func() { w.freeSlots(h) }, h.fields)
	})
	w.turns.give(h.run.Tenant, time.Since(h.began))
}
