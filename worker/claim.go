package worker

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// claim claims the run in the ledger, and so learns its earlier outcome; no run
// is answered without its claim. The claim of a run that is ready begins it too,
// unless it was cancelled or tried before.
func (w *Worker) claim(h *held) error {
	if err := context.Cause(h.wait); err != nil {
		return err
	}
	grant, err := w.outbox.Claim(h.wait, ledger.Claim{
		Entry: ledger.EntryOf(h.run), Owner: h.owner(w.cfg.Name), Begin: h.begins,
	})
	var held *outbox.HeldError
	if err == nil || errors.Is(err, outbox.ErrPublished) || errors.As(err, &held) {
		w.breaker.Close() // the ledger answers
	}
	if err != nil {
		return err
	}
	h.granted(grant.Hold, grant.Sent)
	h.attempts = grant.Attempts
	if !grant.Hold.Invoking {
		return w.admit(h, grant.Cancelled)
	}
	if err := context.Cause(h.wait); err != nil {
		return err // it is released, and its attempt taken back
	}
	if h.lapsed(claimTTL) {
		return errLapsed
	}
	w.begun(h, grant.Hold)
	return nil
}

// admit decides whether a claimed run is begun.
func (w *Worker) admit(h *held, cancelled bool) error {
	switch {
	case h.refused != nil:
		return &endError{run.Rejected, h.refused}
	case cancelled:
		return errCancelled
	case h.mayHaveExecuted() && h.run.Data.Delivery == run.AtMostOnce:
		return errExecuted
	case h.attempts >= w.cfg.MaxAttempts:
		return errExhausted
	case h.run.Expired(time.Now()):
		return errExpired
	case h.run.Data.ExpiresAt != nil:
		h.expireAt(*h.run.Data.ExpiresAt)
	}
	return nil
}
