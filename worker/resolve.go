package worker

import (
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// resolve fills in the script of a run that names a version of the registry: no
// queue carries its text. A refusal is answered once the run is claimed.
func (w *Worker) resolve(h *held) error {
	ref, ok := h.run.Reference()
	switch {
	case !ok || h.refused != nil:
		return nil
	case w.deps.Scripts == nil:
		h.refused = registry.NoRegistry()
		return nil
	}
	pushed, err := w.deps.Scripts.Accepted(h.wait, h.run)
	switch {
	case errors.As(err, &h.refused):
		return nil
	case err != nil:
		if err := w.claim(h); err != nil {
			return err
		}
		w.note(h, "the script registry, which does not answer")
		return err
	}
	var full run.Run
	if full, h.refused = w.deps.Policy.Complete(h.run, ref.ID, pushed, time.Now()); h.refused == nil {
		h.run = full
	}
	return nil
}
