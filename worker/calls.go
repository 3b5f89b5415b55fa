package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// Calls to the ledger and to the tenants' slots: how they are batched, how long
// they may take, and what happens while Redis is away.

const (
	// batchTimeout bounds one round trip for a batch of runs.
	batchTimeout = 5 * time.Second
	// optionalTimeout bounds a call that a run can do without.
	optionalTimeout = 2 * time.Second
	// slotTTL is how long a tenant's slot outlives its worker.
	slotTTL = 30 * time.Second
)

// retryWhileAway repeats f while the ledger is out of reach, with full jitter,
// until ctx ends; the intake pauses meanwhile.
func retryWhileAway[T any](ctx context.Context, w *Worker, f func() (T, error)) (T, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		v, err := f()
		if err == nil || !errors.Is(err, ledger.ErrUnavailable) {
			return v, err
		}
		w.breaker.Open(err)
		select {
		case <-ctx.Done():
			return v, context.Cause(ctx)
		case <-time.After(rand.N(pause)):
		}
	}
}

// uncut is a context for a call whose answer counts even after ctx has ended: a
// claim or a slot that was granted has to be given back, a result that was sent
// is sent. The call has its own timeout.
func uncut(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// note tells explain what the run waits for. A failure of it changes nothing.
func (w *Worker) note(h *held, reason string) {
	if hold, ok := h.currentHold(); ok {
		ctx, cancel := context.WithTimeout(h.wait, optionalTimeout)
		defer cancel()
		_ = w.deps.Ledger.Wait(ctx, hold, reason)
	}
}

// freeSlots gives back the slots that a run has.
func (w *Worker) freeSlots(h *held) {
	h.mu.Lock()
	asks := h.slots
	h.slots = nil
	h.mu.Unlock()
	w.giveSlots(h.work, asks)
}

// giveSlots gives slots back. Those that it cannot give back run out after
// slotTTL.
func (w *Worker) giveSlots(ctx context.Context, asks []slot.Ask) {
	if len(asks) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(uncut(ctx), optionalTimeout)
	defer cancel()
	if err := w.deps.Slots.Give(ctx, asks); err != nil {
		w.log.Warn("cannot give a tenant's slot back; it runs out by itself", zap.Error(err))
	}
}

func (w *Worker) flushClaims(ctx context.Context, cs []ledger.Claim) ([]ledger.Answer, []error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	answers, err := w.deps.Ledger.Claim(ctx, cs, claimTTL)
	return answers, same(err, len(cs))
}

func (w *Worker) flushFinishes(ctx context.Context, fs []ledger.Finish) ([]struct{}, []error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	errs, err := w.deps.Ledger.Finish(ctx, fs)
	if err != nil {
		return nil, same(err, len(fs))
	}
	return nil, errs
}

func (w *Worker) flushPublished(ctx context.Context, keys []run.Key) ([]struct{}, []error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	return nil, same(w.deps.Ledger.Published(ctx, keys), len(keys))
}

func (w *Worker) flushSlots(ctx context.Context, asks []slot.Ask) ([]bool, []error) {
	ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	taken, err := w.deps.Slots.Take(ctx, asks, slotTTL)
	return taken, same(err, len(asks))
}

// same is one error for each of n entries.
func same(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
