package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// initAllowance is added to the function's timeout for one invocation: 10 s of
// init, and the network.
const initAllowance = 15 * time.Second

// invoke runs the script once, and reads its function's answer.
func (w *Worker) invoke(h *held) (function.Outcome, error) {
	if !h.invoked() {
		if err := w.begin(h); err != nil {
			return function.Outcome{}, err
		}
	}
	w.metrics.invoked.Inc()
	h.spans.invoked = time.Now()
	ctx, cancel := context.WithTimeout(h.work, time.Duration(h.run.Script.TimeoutSeconds)*time.Second+initAllowance)
	defer cancel()
	inv, err := w.deps.Functions.Invoke(ctx, h.run.Tenant, h.built.Function, h.payload)
	if err != nil {
		h.timeline.Mark(run.StageExecute, time.Now())
		h.spans.failed = string(classOf(err))
		w.metrics.refuse(err)
		return function.Outcome{}, err
	}
	if h.built.Runner != nil {
		if err := function.NotTakenBy(h.built.Function, inv); err != nil {
			h.timeline.Mark(run.StageExecute, time.Now())
			return function.Outcome{}, err
		}
	}
	h.returned = true
	w.metrics.started(h)
	w.turns.succeeded()
	out := function.Read(inv, h.run.Script)
	if h.built.Runner != nil && out.Uncompiled {
		out.Status = run.BuildFailed // as its build would have ended
	}
	w.metrics.bill(out.Report.Billed, h.run.Script)
	out.Hide(h.credentials)
	h.spans.init = out.Report.Init
	h.timeline.Spend(run.StageInit, out.Report.Init, time.Now())
	h.timeline.Mark(run.StageExecute, time.Now())
	return out, nil
}

// payload is the function's payload: the input, and the keys of the request's
// credential, which are nil if it names none.
func (w *Worker) payload(h *held) (body []byte, credentials *function.Credentials, err error) {
	if h.run.Data.Credential != "" {
		given := w.deps.Credentials.Assume(h.wait, h.run)
		credentials = &given
	}
	call := function.Call{Input: h.run.Data.Input, Credentials: credentials}
	if h.built.Runner != nil {
		call.Script = &h.run.Script
	}
	body, err = call.Payload()
	var refused *run.Error
	switch {
	case function.ClassOf(err) == function.NotTaken:
		return nil, nil, err
	case errors.As(err, &refused):
		return nil, nil, &endError{run.Failed, refused}
	case err != nil:
		return nil, nil, &endError{run.PlatformError, &run.Error{Owner: run.OwnerPlatform, Type: "InternalError",
			Message: fmt.Sprintf("The function could not be called, so the script has not run: %v. Tell the platform's operator.", err)}}
	}
	return body, credentials, nil
}

// begin makes the payload, and counts the attempt in the ledger.
func (w *Worker) begin(h *held) (err error) {
	if h.payload, h.credentials, err = w.payload(h); err != nil {
		return err
	}
	hold, _ := h.currentHold()
	for try := 1; ; try++ {
		if h.lapsed(claimTTL) {
			return errLapsed
		}
		err := w.outbox.Begin(h.wait, hold)
		if err == nil {
			w.begun(h, hold.Begun())
			return nil
		}
		if !errors.Is(err, ledger.ErrUnavailable) || !w.again(h.wait, err, try) {
			return err
		}
	}
}

// begun records that the ledger has counted the attempt: from here on the script
// may have executed.
func (w *Worker) begun(h *held, hold ledger.Hold) {
	h.begun(hold)
	h.attempts = max(hold.Attempts, h.attempts+1)
	if h.attempts == 1 {
		w.budget.earn()
	}
}
