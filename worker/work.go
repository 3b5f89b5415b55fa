package worker

import (
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// work walks one delivery to its verdict, and gives back its turn and slots.
func (w *Worker) work(h *held) verdict {
	defer w.giveBack(h)
	out, err := w.walk(h)
	return w.verdict(h, out, err)
}

// walk takes a delivery's steps in order. Each step is in the file of its name.
// A step that fails ends the walk, and judge decides what its error means.
func (w *Worker) walk(h *held) (function.Outcome, error) {
	if err := w.decode(h); err != nil {
		return function.Outcome{}, err
	}
	if err := w.resolve(h); err != nil {
		return function.Outcome{}, err
	}
	if err := w.ready(h); err != nil {
		return function.Outcome{}, err
	}
	if err := w.claim(h); err != nil {
		return function.Outcome{}, err
	}
	out, err := w.execute(h)
	if !w.untaken(h, err) {
		return out, err
	}
	if err := w.fallBack(h, err); err != nil {
		return function.Outcome{}, err
	}
	return w.execute(h)
}

// execute takes the steps of a claimed run.
func (w *Worker) execute(h *held) (function.Outcome, error) {
	if err := w.build(h); err != nil {
		return function.Outcome{}, err
	}
	if h.run.Type == run.TypeSaved {
		return function.Outcome{Status: run.Succeeded}, nil
	}
	if err := w.slot(h); err != nil {
		return function.Outcome{}, err
	}
	return w.invoke(h)
}

// decode decodes the request again. The dispatcher has admitted it, so a
// request that cannot be decoded here was put on the partition by another
// sender.
func (w *Worker) decode(h *held) error {
	r, refused := w.deps.Policy.Decode(h.delivery.Body, time.Now())
	if err := claimcheck.Problem(h.delivery); err != nil {
		refused = run.RefuseClaimCheck(err)
	}
	h.run, h.place = r, trace.PlaceOf(r, h.delivery.TraceHeader)
	h.timeline = run.NewTimeline(run.RequestedAt(h.delivery.Attributes, h.delivery.SentAt))
	w.follow(h)
	h.timeline.Mark(run.StageIntake, h.delivery.SentAt)
	if refused != nil && !r.Attributable() {
		return &unreadableError{refused}
	}
	h.refused = refused // answered once the run is claimed
	return nil
}
