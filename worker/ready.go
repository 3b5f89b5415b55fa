package worker

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ready takes the turn, the slots and the payload of a run that can be invoked
// at once, before the run is claimed. Its claim then begins it too, which saves a
// round trip. Other runs, and one above a cap, are claimed first, and wait as
// claimed: for a build, which takes no turn, or for a slot, which explain shows.
//
// A run that waits for its turn here is not claimed, and so counts as queued.
// Another worker may get another delivery of it and run it. Its claim here then
// finds that out.
//
// A run that meets a panic here is claimed, so that it can be answered.
func (w *Worker) ready(h *held) error {
	var err error
	if p := w.guard.Catch(func() { err = w.getReady(h) }, h.fields); p != nil {
		if err := w.claim(h); err != nil {
			return err
		}
		return p
	}
	return err
}

func (w *Worker) getReady(h *held) error {
	if h.refused != nil || h.run.Type == run.TypeSaved || h.run.Data.Delivery == run.AtMostOnce {
		return nil // an at-most-once run must not lose its attempt with the answer to its claim
	}
	built, ok := w.find(h)
	if !ok {
		return nil
	}
	ctx := h.wait
	if at := h.run.Data.ExpiresAt; at != nil {
		until, cancel := context.WithDeadlineCause(ctx, *at, errExpired)
		defer cancel()
		ctx = until
	}
	over, err := w.turn(ctx, h)
	if errors.Is(err, errExpired) {
		return nil // it is answered once it is claimed
	}
	if over != nil || err != nil {
		return err
	}
	h.built = built
	h.payload, h.credentials, err = w.payload(h)
	h.begins = err == nil && !h.run.Expired(time.Now())
	return nil // begin meets an error of the payload again, once the run is claimed
}
