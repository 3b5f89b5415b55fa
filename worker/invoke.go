package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// initAllowance is what Lambda may take beside the function's timeout: 10 s of
// init, and the way there and back.
const initAllowance = 15 * time.Second

// invoke runs the script once.
func (w *Worker) invoke(h *held, built builds.Built) verdict {
	call := function.Call{Input: h.run.Data.Input}
	if name := h.run.Data.Credential; name != "" {
		credentials := w.deps.Credentials.Assume(h.wait, h.run.Tenant, name, string(h.run.Key))
		call.Credentials = &credentials
	}
	payload, err := call.Payload()
	if err != nil {
		return answer(h.result(run.Failed, asRunError(err), built))
	}
	if err := w.begin(h); err != nil {
		return w.interrupted(h, err)
	}
	w.metrics.invoked.Inc()
	ctx, cancel := context.WithTimeout(h.work, time.Duration(h.run.Script.TimeoutSeconds)*time.Second+initAllowance)
	defer cancel()
	inv, err := w.deps.Functions.Invoke(ctx, h.run.Tenant, built.Function, payload)
	if err != nil {
		w.metrics.refused.WithLabelValues(string(classOf(err))).Inc()
		return w.judge(h, built, err)
	}
	w.turns.succeeded()
	return answer(w.outcome(h, built, inv))
}

// begin counts the attempt in the ledger: from here on the script may have run.
func (w *Worker) begin(h *held) error {
	hold, _ := h.currentHold()
	hold, err := retryWhileAway(h.wait, w, func() (ledger.Hold, error) {
		if h.lapsed(w.cfg.ClaimTTL) {
			return hold, errLapsed
		}
		return w.deps.Ledger.Invoking(h.wait, hold)
	})
	if err != nil {
		return err
	}
	h.granted(hold, true)
	h.attempts = max(hold.Attempts, h.attempts+1)
	if h.attempts == 1 {
		w.budget.earn()
	}
	return nil
}

// outcome turns the function's answer into the run's result.
func (w *Worker) outcome(h *held, built builds.Built, inv function.Invocation) run.Result {
	out := function.Read(inv, h.run.Script)
	now := time.Now()
	h.timeline.Spend(run.StageInit, out.Report.Init, now)
	h.timeline.Mark(run.StageExecute, now)
	res := h.result(out.Status, out.Error, built)
	res.Data.Output = out.Output
	res.Data.Logs = out.Logs
	res.Data.Function = &run.FunctionInfo{
		ScriptHash:  h.run.Script.Hash,
		EnvHash:     h.run.Script.EnvHash,
		Runtime:     h.run.Script.Runtime.Name,
		ColdStart:   out.Report.Init > 0,
		MaxMemoryMB: out.Report.MaxMemoryMB,
		BilledMS:    int(out.Report.Billed.Milliseconds()),
	}
	return res
}

// judge decides what an invocation that did not come back means for its run.
func (w *Worker) judge(h *held, built builds.Built, err error) verdict {
	h.timeline.Mark(run.StageExecute, time.Now())
	if errors.Is(context.Cause(h.work), errLost) {
		return verdict{kind: leave, why: "the claim is lost"}
	}
	if h.work.Err() != nil {
		return verdict{kind: putBack, executed: true, why: "the worker's drain is over"}
	}
	switch classOf(err) {
	case function.Throttled:
		if !ofOneFunction(err) {
			w.turns.throttled()
		}
		return w.again(h, built, err, "Throttled", "Lambda's throttle to pass")
	case function.NotReady:
		return w.again(h, built, err, "FunctionNotReady", "its function to become ready")
	case function.Unsent:
		w.breaker.Open(err)
		return w.again(h, built, err, "FunctionServiceUnreachable", "Lambda, which is out of reach")
	case function.NotFound, function.BadState:
		if ferr := w.deps.Builds.Forget(h.wait, h.run.Script); ferr != nil {
			err = errors.Join(err, ferr)
		}
		return w.again(h, built, err, "FunctionMissing", "its function, which was gone, to be built again")
	case function.Denied:
		return answer(h.result(run.PlatformError, &run.Error{
			Owner: run.OwnerOperator, Type: "AccessDenied",
			Message: fmt.Sprintf("The fleet may not invoke the script's function; its operator has to allow it: %v.", err),
		}, built))
	case function.Operator:
		return answer(h.result(run.PlatformError, &run.Error{
			Owner: run.OwnerOperator, Type: "FunctionServiceFault", Retryable: true,
			Message: fmt.Sprintf("The function service needs its operator: %v.", err),
		}, built))
	case function.Refused, function.Conflict:
		return answer(h.result(run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "InvocationRefused",
			Message: fmt.Sprintf("The function service refused the invocation: %v.", err),
		}, built))
	default:
		return w.ambiguous(h, built, err)
	}
}

// again puts back a run that has not executed, to be tried until it is too old.
func (w *Worker) again(h *held, built builds.Built, err error, kind, waiting string) verdict {
	h.attempts-- // the ledger takes it back as well
	if age := time.Since(h.delivery.SentAt); age > w.cfg.GiveUpAfter {
		return answer(h.result(run.PlatformError, &run.Error{
			Owner: run.OwnerOperator, Type: kind, Retryable: true,
			Message: fmt.Sprintf("The script could not be invoked for %s and has not run. Send it again once the function service takes it: %v.", age.Round(time.Second), err),
		}, built))
	}
	w.note(h, waiting)
	return verdict{kind: putBack, delay: w.backoff(h), why: err.Error()}
}

// ambiguous decides on a run that may have executed: no answer came.
func (w *Worker) ambiguous(h *held, built builds.Built, err error) verdict {
	switch {
	case h.run.Data.Delivery == run.AtMostOnce:
		return answer(h.result(run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "MayHaveExecuted",
			Message: fmt.Sprintf("The invocation gave no answer, so the script may have run. It was not run again, as the request's delivery is at-most-once: check what it did before sending it again under another id. (%v)", err),
		}, built))
	case h.attempts >= w.cfg.MaxAttempts || !w.budget.spend():
		return answer(h.result(run.PlatformError, exhausted(h), built))
	}
	return verdict{kind: putBack, delay: w.backoff(h), executed: true, why: err.Error()}
}

// ofOneFunction tells whether a throttle is that of one function's own limit,
// which says nothing of the account's.
func ofOneFunction(err error) bool {
	var e *function.Error
	return errors.As(err, &e) && strings.Contains(e.Reason, "ReservedFunction")
}

// classOf is function.ClassOf, and Ambiguous for what has no class: a deadline
// of ours that ran out while the function was at work.
func classOf(err error) function.Class {
	if c := function.ClassOf(err); c != "" {
		return c
	}
	return function.Ambiguous
}

func asRunError(err error) *run.Error {
	var e *run.Error
	if errors.As(err, &e) {
		return e
	}
	return &run.Error{Owner: run.OwnerPlatform, Type: "Internal", Message: err.Error() + "."}
}
