package worker

import (
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// resolve fills in the script of a run that names a version of the registry. No
// queue carries its text.
func (w *Worker) resolve(h *held) error {
	ref, ok := h.run.Reference()
	if !ok {
		return nil
	}
	if w.deps.Scripts == nil {
		return &endError{run.Rejected, registry.NoRegistry()}
	}
	pushed, err := w.deps.Scripts.Accepted(h.wait, h.run)
	var refused *run.Error
	switch {
	case errors.As(err, &refused):
		return &endError{run.Rejected, refused}
	case err != nil:
		w.note(h, "the script registry, which does not answer")
		return err
	}
	full, refused := w.deps.Policy.Complete(h.run, ref.ID, pushed, time.Now())
	h.run = full
	if refused != nil {
		return &endError{run.Rejected, refused}
	}
	return nil
}
