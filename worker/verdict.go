package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// kind is what is to be done with a delivery.
type kind string

const (
	answered  kind = "answered"  // a result ends the run
	republish kind = "republish" // the stored result is published again
	remove    kind = "remove"    // the run was settled before; only the delivery is left
	putBack   kind = "put_back"  // to be tried again after a delay
	bury      kind = "bury"      // to the dead-letter queue, with the reason
	leave     kind = "leave"     // it is another worker's now
)

// verdict is made once for each delivery, and carried out by settle.
type verdict struct {
	kind     kind
	result   run.Result    // of answered
	stored   []byte        // of republish
	reason   *run.Error    // of bury
	delay    time.Duration // of putBack
	executed bool          // of putBack: whether the script may have run
	why      string        // of putBack and leave, for the log
}

func answer(r run.Result) verdict { return verdict{kind: answered, result: r} }

// interrupted is the verdict on a run whose waiting has ended before it was
// invoked.
func (w *Worker) interrupted(h *held, err error) verdict {
	switch cause := context.Cause(h.wait); {
	case errors.Is(err, ledger.ErrLost), errors.Is(cause, errLost):
		return verdict{kind: leave, why: "the claim is lost"}
	case errors.Is(err, errLapsed), errors.Is(cause, errLapsed):
		h.dropHold() // it is not to be released either
		return verdict{kind: putBack, delay: w.backoff(h), why: errLapsed.Error()}
	case errors.Is(cause, errCancelled):
		return answer(h.result(run.Cancelled, cancelledError(h), builds.Built{}))
	case errors.Is(cause, errExpired):
		return answer(expired(h))
	case cause != nil:
		return verdict{kind: putBack, why: cause.Error()}
	}
	return verdict{kind: putBack, delay: w.backoff(h), why: err.Error()}
}

// mayHaveExecuted tells whether the script has run, or may have: a run that the
// ledger forgot counts as tried once.
func (h *held) mayHaveExecuted() bool { return h.attempts > 0 && h.run.Type != run.TypeSaved }

// result begins the run's result.
func (h *held) result(status run.Status, e *run.Error, built builds.Built) run.Result {
	r := h.run.Result(status, time.Now())
	r.Data.Error = e
	r.Data.Attempt = max(1, h.attempts)
	r.Data.MayHaveExecuted = h.mayHaveExecuted()
	r.Data.Build.Outcome = built.Outcome
	if built.WaitedOn != "" {
		r.Data.Build.WaitedOn = &built.WaitedOn
	}
	if built.Log != "" {
		r.Data.Build.Log = &built.Log
	}
	return r
}

func cancelledError(h *held) *run.Error {
	message := "The run was cancelled before it was begun."
	if h.mayHaveExecuted() {
		message = "The run was cancelled while it waited to be tried again; the script may have run."
	}
	return &run.Error{Owner: run.OwnerAuthor, Type: "Cancelled", Message: message}
}

func expired(h *held) run.Result {
	return h.result(run.Expired, &run.Error{
		Owner: run.OwnerPlatform, Type: "Expired", Retryable: true,
		Message: fmt.Sprintf("The run was not begun before %s, when it expired. Send it again with a later expires_at.", h.run.Data.ExpiresAt.UTC().Format(time.RFC3339)),
	}, builds.Built{})
}

func exhausted(h *held) *run.Error {
	return &run.Error{
		Owner: run.OwnerPlatform, Type: "AttemptsExhausted", Retryable: true,
		Message: fmt.Sprintf("The script was begun %d times and no answer came back, so it may have run. Check what it did, then send it again under another id.", h.attempts),
	}
}

// backoff is a delay with full jitter that grows with each receive of the
// delivery, from 2 s to a minute.
func (w *Worker) backoff(h *held) time.Duration {
	return jitter(time.Second, time.Second<<min(h.delivery.ReceiveCount, 6))
}

// jitter is a time between low and high, in whole seconds as queues take it.
func jitter(low, high time.Duration) time.Duration {
	d := low
	if high > low {
		d += rand.N(high - low)
	}
	return d.Round(time.Second)
}
