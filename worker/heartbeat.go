package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// heartbeat renews what is in hand, in batches, at every third of claimTTL:
// claims and slots each time, and a delivery's visibility once half of it is
// used. So a run of common length extends nothing.
func (w *Worker) heartbeat(ctx context.Context) {
	tick := time.NewTicker(claimTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		call, cancel := context.WithTimeout(ctx, claimTTL/3)
		ledgerLost := w.renewClaims(call)
		w.renewSlots(call)
		w.endCancelled(call)
		cancel()
		w.inflight.forgetCaps()
		w.extendDeliveries(ctx, ledgerLost)
	}
}

// renewClaims renews the claims. It ends the work of a run whose claim is lost,
// and the waiting of one whose claim has lapsed. It reports whether the ledger
// is out of reach.
func (w *Worker) renewClaims(ctx context.Context) (outOfReach bool) {
	var hs []*held
	var holds []ledger.Hold
	w.inflight.each(func(h *held) {
		hold, ok := h.currentHold()
		switch {
		case ok && h.lapsed(claimTTL):
			h.endWait(errLapsed)
		case ok:
			hs, holds = append(hs, h), append(holds, hold)
		}
	})
	if len(hs) == 0 {
		return false
	}
	sent := time.Now()
	errs, err := w.deps.Ledger.Renew(ctx, holds, claimTTL)
	if err != nil {
		w.faults.claims.Met(err, zap.Int("claims", len(hs)))
		w.breaker.Open(err)
		return true
	}
	w.faults.claims.Over()
	for i, h := range hs {
		if errs[i] == nil {
			h.renew(sent)
		} else if _, still := h.currentHold(); still && errors.Is(errs[i], ledger.ErrLost) {
			h.dropHold()
			h.endWork(errLost)
		}
	}
	return false
}

// renewSlots renews the slots. A slot that was given back during the renewal
// may exist again afterwards: it is given back once more.
func (w *Worker) renewSlots(ctx context.Context) {
	asks := w.taken()
	if len(asks) == 0 {
		return
	}
	if err := w.deps.Slots.Renew(ctx, asks, slotTTL); err != nil {
		w.faults.slots.Met(err)
	} else {
		w.faults.slots.Over()
	}
	still := map[slot.Ask]bool{}
	for _, a := range w.taken() {
		still[a] = true
	}
	w.giveSlots(ctx, slices.DeleteFunc(asks, func(a slot.Ask) bool { return still[a] }))
}

// taken are the tenants' slots of runs in hand, and those that are kept.
func (w *Worker) taken() (asks []slot.Ask) {
	w.spares.mu.Lock()
	defer w.spares.mu.Unlock()
	asks = w.spares.all()
	w.inflight.each(func(h *held) {
		h.mu.Lock()
		asks = append(asks, h.slots...)
		h.mu.Unlock()
	})
	return asks
}

// endCancelled ends the waiting of runs that were cancelled.
func (w *Worker) endCancelled(ctx context.Context) {
	var hs []*held
	var keys []run.Key
	w.inflight.each(func(h *held) {
		h.mu.Lock()
		if h.claimed && !h.invoking {
			hs, keys = append(hs, h), append(keys, h.hold.Entry.Key)
		}
		h.mu.Unlock()
	})
	if len(hs) == 0 {
		return
	}
	cancelled, err := w.deps.Ledger.Cancelled(ctx, keys)
	if err != nil {
		return // renewClaims logs this
	}
	for i, h := range hs {
		if cancelled[i] {
			h.endWait(errCancelled)
		}
	}
}

// extendDeliveries extends the visibility of deliveries that need it. A run
// whose delivery is lost goes on while its claim holds. If the ledger is out of
// reach too, nothing keeps another worker from invoking the run, so its work
// ends.
func (w *Worker) extendDeliveries(ctx context.Context, ledgerLost bool) {
	now := time.Now()
	due := map[*source][]*held{}
	w.inflight.each(func(h *held) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case h.gone && ledgerLost:
			h.endWork(errLost)
		case !h.gone && h.visibleTo.Sub(now) < w.cfg.Visibility/2:
			due[h.source] = append(due[h.source], h)
		}
	})
	for s, hs := range due {
		ds := make([]queue.Delivery, len(hs))
		for i, h := range hs {
			ds[i] = h.delivery
		}
		for i, err := range s.queue.Extend(ctx, ds, w.cfg.Visibility) {
			w.extended(hs[i], now, err)
		}
	}
}

func (w *Worker) extended(h *held, now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		w.faults.extends.Over()
		h.visibleTo = now.Add(w.cfg.Visibility)
		w.metrics.extended.Inc()
	case errors.Is(err, queue.ErrGone):
		h.gone = true
	default:
		w.faults.extends.Met(err, zap.String("message", h.delivery.MessageID)) // h.run is its walk's
	}
}
