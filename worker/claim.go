package worker

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// claim asks the ledger for the run, and so learns what became of it before:
// nothing is answered without it. A call under way is let finish, whatever ends
// the waiting, since the claim that it brings is to be given back.
func (w *Worker) claim(h *held) error {
	if err := context.Cause(h.wait); err != nil {
		return err
	}
	known, err := retryWhileAway(h.wait, w, func() (ledger.Answer, error) {
		h.renew(time.Now())
		return w.claims.Do(uncut(h.work), ledger.Claim{Entry: ledger.EntryOf(h.run), Owner: h.owner(w.cfg.Name)})
	})
	if err != nil {
		return err
	}
	w.breaker.Close()
	switch {
	case known.State == ledger.Published:
		return errPublished
	case known.State == ledger.Done:
		return &storedError{known.Result}
	case !known.Granted:
		return &heldError{known.HeldFor}
	}
	h.granted(known.Hold, false)
	h.attempts = known.Attempts
	return w.admit(h, known.Cancelled)
}

// admit decides whether a run that is claimed is to be begun at all.
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
