package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// kind is what happens to a delivery.
type kind string

const (
	answered kind = "answered" // a result ends the run
	remove   kind = "remove"   // the run was settled before; only the delivery is deleted
	putBack  kind = "put_back" // try again after a delay
	bury     kind = "bury"     // to the dead-letter queue, with the reason
	leave    kind = "leave"    // another worker has it now
)

// verdict is decided once for each delivery, and carried out by settle.
type verdict struct {
	kind     kind
	outcome  function.Outcome // of answered
	reason   *run.Error       // of bury
	within   time.Duration    // of putBack: it comes again after 1 s to this; 0 for at once
	executed bool             // of putBack: the script may have run
	why      string           // of putBack and leave, for the log
}

// effects are what a verdict changes besides its run.
type effects struct {
	throttle bool   // lower the number of turns: the account's concurrency is used up
	pause    bool   // open the breaker: the function service is out of reach
	forget   bool   // forget the build, so that the script is built again
	repeat   bool   // draw one from the budget of repeated invocations
	uncount  bool   // take the attempt back: nothing was executed
	unclaim  bool   // drop the claim without releasing it: it may be another's
	waitsFor string // for explain
}

// facts are everything by which judge decides.
type facts struct {
	err     error          // why the step failed
	ended   error          // cause with which the step's context has ended; nil while it lasts
	read    bool           // the run's identity is known
	claimed bool           // this worker may answer the run
	invoked bool           // the step was the invocation
	class   function.Class // of an invocation's error

	attempts    int // invocations begun, the one that failed included
	maxAttempts int
	budget      bool // there is a repeated invocation left
	atMostOnce  bool

	age         time.Duration // of the delivery's message
	giveUpAfter time.Duration
	receives    int
	expiresAt   time.Time
}

// Errors with which a step ends a run that cannot go on.
var (
	errExhausted = errors.New("worker: the run has had all its attempts")
	errExecuted  = errors.New("worker: the run is at-most-once, and may have been executed")
	errParked    = errors.New("a place among the runs that wait for builds here")
)

// endError ends a run with a result that has the reason.
type endError struct {
	status run.Status
	reason *run.Error
}

func (e *endError) Error() string { return e.reason.Error() }

// unreadableError is the error of a delivery whose run no result can name.
type unreadableError struct{ reason *run.Error }

func (e *unreadableError) Error() string { return e.reason.Error() }

// verdict decides what the end of a run's steps means for the run, and carries
// out the effects.
func (w *Worker) verdict(h *held, out function.Outcome, err error) verdict {
	if err == nil {
		return verdict{kind: answered, outcome: out}
	}
	v, e := judge(w.facts(h, err))
	if e.unclaim {
		h.dropHold()
	}
	if e.uncount {
		h.attempts-- // the ledger does the same
	}
	if e.repeat {
		w.budget.spend()
	}
	if e.throttle {
		w.turns.throttled()
	}
	if e.pause {
		w.breaker.Open(err)
	}
	if e.forget {
		w.forget(h, h.run.Script)
	}
	if e.waitsFor != "" {
		w.note(h, e.waitsFor)
	}
	return v
}

// forget forgets that the script was built, since its function is gone.
func (w *Worker) forget(h *held, s run.Script) {
	if err := w.deps.Builds.Forget(h.wait, s); err != nil {
		w.log.Warn("cannot forget a build; its function is still missing", zap.String("run", string(h.run.Key)), zap.Error(err))
	}
}

// facts collects the facts of a run whose step has failed.
func (w *Worker) facts(h *held, err error) facts {
	f := facts{
		err: err, ended: context.Cause(h.wait), read: h.run.Key != "",
		maxAttempts: w.cfg.MaxAttempts, budget: w.budget.has(), atMostOnce: h.run.Data.Delivery == run.AtMostOnce,
		age: time.Since(h.delivery.SentAt), giveUpAfter: w.cfg.GiveUpAfter, receives: h.delivery.ReceiveCount,
	}
	_, f.claimed = h.currentHold()
	if h.invoked() {
		f.invoked, f.class, f.ended = true, classOf(err), context.Cause(h.work)
	}
	if h.mayHaveExecuted() {
		f.attempts = h.attempts
	}
	if at := h.run.Data.ExpiresAt; at != nil {
		f.expiresAt = *at
	}
	return f
}

// judge decides what an error means for its run. Only judge decides that, by
// the facts alone; TestJudge lists every case.
func judge(f facts) (verdict, effects) {
	is := func(target error) bool { return errors.Is(f.err, target) || errors.Is(f.ended, target) }
	if v, ok := decided(f); ok {
		return v, effects{}
	}
	var over *overCap
	var panicked *panics.Error
	switch {
	case errors.As(f.err, &over) && over.stopped:
		return judgeStopped(f, over), effects{}
	case errors.As(f.err, &over):
		return later(f, f.err), effects{} // noted when it was met
	case errors.Is(f.err, errParked):
		return later(f, f.err), effects{waitsFor: f.err.Error()}
	case is(ledger.ErrLost), is(errLost):
		return verdict{kind: leave, why: "the claim is lost"}, effects{}
	case errors.As(f.err, &panicked):
		return judgePanic(f), effects{}
	case f.invoked && f.ended != nil:
		return verdict{kind: putBack, executed: true, why: "the worker's drain is over"}, effects{}
	case f.invoked:
		v, e := judgeInvocation(f)
		e.uncount = !f.class.MayHaveExecuted()
		return v, e
	case is(errLapsed):
		return later(f, errLapsed), effects{unclaim: true}
	case is(errCancelled):
		return answers(run.Cancelled, cancelled(f)), effects{}
	case is(errExpired):
		return answers(run.Expired, expired(f)), effects{}
	case f.ended != nil:
		return verdict{kind: putBack, why: f.ended.Error()}, effects{}
	}
	return later(f, f.err), effects{}
}

// decided are the errors that count regardless of what has ended meanwhile.
func decided(f facts) (verdict, bool) {
	var end *endError
	var unreadable *unreadableError
	var held *outbox.HeldError
	var failed *builds.FailedError
	switch {
	case errors.As(f.err, &end):
		return answers(end.status, end.reason), true
	case errors.As(f.err, &failed):
		return answers(run.BuildFailed, failed.Reason), true
	case errors.Is(f.err, errExhausted):
		return answers(run.PlatformError, exhausted(f)), true
	case errors.Is(f.err, errExecuted):
		return answers(run.PlatformError, mayHaveExecuted(
			"A worker was lost while this run was under way, so the script may have run. "+notAgain)), true
	case errors.As(f.err, &unreadable):
		return verdict{kind: bury, reason: unreadable.reason}, true
	case errors.Is(f.err, outbox.ErrPublished):
		return verdict{kind: remove}, true
	case errors.As(f.err, &held):
		return verdict{kind: putBack, within: max(held.For, time.Second), why: held.Error()}, true
	case errors.Is(f.err, builds.ErrClosed):
		return verdict{kind: putBack, why: "the worker is stopping"}, true
	}
	return verdict{}, false
}

// A run of a stopped tenant comes again after up to stoppedPart of its age, at
// most stoppedWait. So it is received less often than its queue allows before SQS
// calls it a dead letter, and goes on soon after a short stop. It ends before the
// queue drops it, after four days.
const (
	stoppedPart = 1. / 16
	stoppedWait = 15 * time.Minute
	stoppedEnd  = 84 * time.Hour
)

func stoppedDelay(age time.Duration) time.Duration {
	return min(time.Duration(stoppedPart*float64(age)), stoppedWait)
}

func judgeStopped(f facts, over *overCap) verdict {
	if f.age < stoppedEnd {
		v := later(f, over)
		v.within = max(v.within, stoppedDelay(f.age))
		return v
	}
	return answers(run.Expired, &run.Error{
		Owner: run.OwnerOperator, Type: "TenantStopped", Retryable: true,
		Message: fmt.Sprintf("The run was not begun within %s, the longest that a run can wait: %v. The operator has to let the tenant's runs go on, then send the run again.", stoppedEnd, over),
	})
}

// judgePanic ends a run that met a panic, if it can be answered. A retry would
// most likely meet the same panic.
func judgePanic(f facts) verdict {
	reason := &run.Error{
		Owner: run.OwnerPlatform, Type: "InternalError",
		Message: fmt.Sprintf("The run was given up: %v. Tell the platform's operator this id.", f.err),
	}
	switch {
	case !f.read:
		return verdict{kind: bury, reason: reason}
	case !f.claimed:
		return later(f, f.err)
	}
	return answers(run.PlatformError, reason)
}

// judgeInvocation decides about an invocation without an answer of the
// function.
func judgeInvocation(f facts) (verdict, effects) {
	switch f.class {
	case function.Throttled:
		if reasonOf(f.err) == function.NoSession {
			return again(f, "SessionThrottled", effects{waitsFor: "STS, which takes no more calls at the moment"})
		}
		return again(f, "Throttled", effects{throttle: !ofOneFunction(f.err), waitsFor: "Lambda's throttle to pass"})
	case function.NotTaken: // its attempt could not be taken back at once: see fallBack
		return again(f, "EnvRunnerRefused", effects{waitsFor: "its own function"})
	case function.NotReady:
		return again(f, "FunctionNotReady", effects{waitsFor: "its function to become ready"})
	case function.Unsent:
		return again(f, "FunctionServiceUnavailable", effects{pause: true, waitsFor: "Lambda, which is out of reach"})
	case function.BadSignature:
		return again(f, "SignatureRefused", effects{waitsFor: "keys that Lambda takes"})
	case function.NotFound, function.BadState:
		return again(f, "FunctionMissing", effects{forget: true, waitsFor: "its function, which was gone, to be built again"})
	case function.Denied:
		return answers(run.PlatformError, &run.Error{
			Owner: run.OwnerOperator, Type: "FunctionAccessDenied", Retryable: true,
			Message: fmt.Sprintf("The fleet may not invoke the script's function, and the script has not run. The operator has to mend the fleet's permissions, then send the run again: %v.", f.err),
		}), effects{}
	case function.Operator:
		return answers(run.PlatformError, &run.Error{
			Owner: run.OwnerOperator, Type: "FunctionServiceFault", Retryable: true,
			Message: fmt.Sprintf("Lambda could not run the function, and the script has not run. The operator has to mend the account, then send the run again: %v.", f.err),
		}), effects{}
	case function.Refused, function.Conflict:
		return answers(run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "InvocationRefused",
			Message: fmt.Sprintf("Lambda refused the invocation, and the script has not run. Tell the platform's operator: %v.", f.err),
		}), effects{}
	default: // Ambiguous
		return ambiguous(f)
	}
}

// again puts back a run that has not executed, until its message is too old.
func again(f facts, kind string, e effects) (verdict, effects) {
	if f.age <= f.giveUpAfter {
		return later(f, f.err), e
	}
	e.waitsFor = ""
	return answers(run.PlatformError, &run.Error{
		Owner: run.OwnerOperator, Type: kind, Retryable: true,
		Message: fmt.Sprintf("The script could not be invoked for %s and has not run. The operator has to mend what keeps Lambda from it, then send the run again: %v.", f.age.Round(time.Second), f.err),
	}), e
}

// ambiguous decides about a run that may have executed: no answer came.
func ambiguous(f facts) (verdict, effects) {
	switch {
	case f.atMostOnce:
		return answers(run.PlatformError, mayHaveExecuted(
			fmt.Sprintf("The invocation gave no answer (%v), so the script may have run. "+notAgain, f.err))), effects{}
	case f.attempts >= f.maxAttempts || !f.budget:
		return answers(run.PlatformError, exhausted(f)), effects{}
	}
	v := later(f, f.err)
	v.executed = true
	return v, effects{repeat: true}
}

func answers(status run.Status, reason *run.Error) verdict {
	return verdict{kind: answered, outcome: function.Outcome{Status: status, Error: reason}}
}

// later puts a delivery back for a time that grows with each of its receives,
// from 2 s to a minute.
func later(f facts, why error) verdict {
	return verdict{kind: putBack, within: time.Second << min(f.receives, 6), why: why.Error()}
}

// classOf is function.ClassOf, and Ambiguous for what has no class: a deadline
// of ours that ran out while the function was at work.
func classOf(err error) function.Class {
	if c := function.ClassOf(err); c != "" {
		return c
	}
	return function.Ambiguous
}

// ofOneFunction tells whether a throttle is that of one function's own limit,
// which says nothing of the account's.
func ofOneFunction(err error) bool { return strings.Contains(reasonOf(err), "ReservedFunction") }

// reasonOf is the Reason of a *function.Error, or "".
func reasonOf(err error) string {
	var e *function.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

const notAgain = "It was not run again, as the request's delivery is at-most-once: check what it did before sending it again under another id."

func mayHaveExecuted(message string) *run.Error {
	return &run.Error{Owner: run.OwnerPlatform, Type: "MayHaveExecuted", Message: message}
}

func exhausted(f facts) *run.Error {
	return &run.Error{
		Owner: run.OwnerPlatform, Type: "AttemptsExhausted", Retryable: true,
		Message: fmt.Sprintf("The script was begun %d times and no answer came back, so it may have run. Check what it did, then send it again under another id.", f.attempts),
	}
}

func cancelled(f facts) *run.Error {
	if f.attempts > 0 {
		return &run.Error{Owner: run.OwnerAuthor, Type: "Cancelled",
			Message: "The run was cancelled while it waited to be tried again. The script may have run: check what it did."}
	}
	return &run.Error{Owner: run.OwnerAuthor, Type: "Cancelled", Message: "The run was cancelled before it was begun. The script has not run."}
}

func expired(f facts) *run.Error {
	return &run.Error{
		Owner: run.OwnerPlatform, Type: "Expired", Retryable: true,
		Message: fmt.Sprintf("The run was not begun before %s, when it expired. Send it again with a later expires_at.", f.expiresAt.UTC().Format(time.RFC3339)),
	}
}
