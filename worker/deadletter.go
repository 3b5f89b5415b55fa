package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// deadLettersEvery is the interval at which the dead-letter queue is read. It
// is long because answered letters stay on the queue for the operator, so every
// look receives them again.
const deadLettersEvery = 30 * time.Second

// deadLetters answers runs that SQS has moved to the dead-letter queue because
// they were received too often: each gets a result, and its letter a reason. It
// ignores letters that have a reason.
func (w *Worker) deadLetters(intake, work context.Context) {
	s := w.newSource(w.deps.DeadLetter)
	tick := time.NewTicker(deadLettersEvery)
	defer tick.Stop()
	for {
		select {
		case <-intake.Done():
			return
		case <-tick.C:
		}
		ds, err := w.deps.DeadLetter.Receive(intake, queue.Poll{Max: queue.MaxBatch, Visibility: w.cfg.Visibility})
		switch {
		case err == nil:
			s.away.Over()
		case intake.Err() == nil:
			s.away.Met(err)
		}
		for _, d := range ds {
			if d.Attributes[run.AttributeReason] == "" {
				w.inHand(intake, work, s, d, w.deadLetter)
			}
		}
	}
}

// deadLetter ends a run whose letter has no reason with a result. It sends the
// letter with the reason first, so a crash can leave two letters, but never
// none.
func (w *Worker) deadLetter(h *held) verdict {
	return w.verdict(h, function.Outcome{}, w.giveUp(h))
}

func (w *Worker) giveUp(h *held) error {
	if err := w.decode(h); err != nil {
		return err
	}
	if err := w.claim(h); err != nil {
		return err
	}
	reason := &run.Error{
		Owner: run.OwnerPlatform, Type: "DeadLettered", Retryable: true,
		Message: fmt.Sprintf("The run was received too often without coming to an end, and has been given up. Its attempts so far: %d. Where there were any, check what the script did; then send the run again under another id.", h.attempts),
	}
	if err := w.writeLetter(h, reason); err != nil {
		return err
	}
	return &endError{run.PlatformError, reason}
}
