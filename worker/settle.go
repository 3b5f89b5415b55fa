package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// settle carries out a verdict, and logs it once.
func (w *Worker) settle(h *held, v verdict) {
	var err error
	switch v.kind {
	case answered:
		err = w.answer(h, &v)
	case remove:
		err = w.remove(h)
	case putBack:
		err = w.putBack(h, v)
	case bury:
		err = w.bury(h, v.reason)
	}
	w.metrics.settled(h, v)
	w.emit(h, v, err)
	w.logSettled(h, v, err)
}

// result is the event that ends the run with the verdict.
func (h *held) result(v verdict) run.Result {
	r := h.run.Result(v.outcome.Status, time.Now())
	if r.Traceparent == "" {
		r.Traceparent = h.place.Traceparent()
	}
	r.Data.Error, r.Data.Output, r.Data.Logs = v.outcome.Error, v.outcome.Output, v.outcome.Logs
	r.Data.Timings = h.timeline.Timings()
	r.Data.Attempt = max(1, h.attempts)
	r.Data.MayHaveExecuted = h.mayHaveExecuted()
	r.Data.Build.Outcome, r.Data.Build.Packages = h.built.Outcome, h.built.Packages
	if h.built.WaitedOn != "" {
		r.Data.Build.WaitedOn = &h.built.WaitedOn
	}
	if h.built.Log != "" {
		r.Data.Build.Log = &h.built.Log
	}
	if h.returned {
		report := v.outcome.Report
		r.Data.Function = &run.FunctionInfo{
			ScriptHash:  h.run.Script.Hash,
			EnvHash:     h.run.Script.EnvHash,
			Runtime:     h.run.Script.Runtime.Name,
			Runner:      h.built.Runner != nil,
			ColdStart:   report.Init > 0,
			MaxMemoryMB: report.MaxMemoryMB,
			BilledMS:    int(report.Billed.Milliseconds()),
		}
	}
	return r
}

// answer publishes the result, and then deletes the delivery. Once the result is
// written down, the claim is no longer renewed: no other worker can take the run
// then. The verdict gets the status and the error that were written down. Once
// the result is published, the delivery takes no room: note and delete linger.
func (w *Worker) answer(h *held, v *verdict) error {
	hold, ok := h.currentHold()
	if !ok {
		return fmt.Errorf("write the result down: %w", ledger.ErrLost)
	}
	h.spans.answered = time.Now()
	h.timeline.Mark(run.StagePublish, h.spans.answered)
	err := w.outbox.Finish(h.work, hold, h.result(*v), func(res run.Result) {
		h.dropHold()
		v.outcome.Status, v.outcome.Error = res.Data.Status, res.Data.Error
	}, func() {
		h.spans.published = time.Now()
		w.inflight.answered(h)
		w.metrics.published(h, h.spans.published)
	})
	if err != nil {
		return err
	}
	return w.remove(h)
}

func (w *Worker) remove(h *held) error {
	err := h.source.delete.Delete(uncut(h.work), h.delivery)
	if err != nil && !errors.Is(err, queue.ErrGone) {
		return fmt.Errorf("delete the delivery, which will come again and be known: %w", err)
	}
	return nil
}

// putBack releases the claim and puts the delivery back.
func (w *Worker) putBack(h *held, v verdict) error {
	ctx, cancel := context.WithTimeout(uncut(h.work), optionalTimeout)
	defer cancel()
	if hold, ok := h.currentHold(); ok {
		h.dropHold()
		if err := w.deps.Ledger.Release(ctx, hold, v.executed); err != nil {
			w.faults.claims.Met(err, zap.String("run", string(h.run.Key)))
		} else {
			w.faults.claims.Over()
		}
	}
	err := h.source.queue.Extend(ctx, []queue.Delivery{h.delivery}, putBackDelay(v.within))[0]
	if err != nil && !errors.Is(err, queue.ErrGone) {
		return fmt.Errorf("put back: %w", err)
	}
	return nil
}

// putBackDelay is a random delay between 1 s and within, in whole seconds as
// queues need it, so that deliveries put back together do not come again
// together.
func putBackDelay(within time.Duration) time.Duration {
	if within > time.Second {
		within = time.Second + rand.N(within-time.Second)
	}
	return within.Round(time.Second)
}

// bury puts a delivery for which no result can be sent on the dead-letter
// queue.
func (w *Worker) bury(h *held, reason *run.Error) error {
	if err := w.writeLetter(h, reason); err != nil {
		return err
	}
	return w.remove(h)
}

func (w *Worker) writeLetter(h *held, reason *run.Error) error {
	err := w.deps.DeadLetter.Send(uncut(h.work), []queue.Message{{
		Body: h.delivery.Body, Group: h.delivery.Group, TraceHeader: h.place.XRay(),
		Attributes: map[string]string{
			run.AttributeReason: reason.Message, run.AttributeErrorType: reason.Type,
		},
	}})[0]
	if err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	return nil
}

// logSettled writes one line for each delivery. That of an answered run is the
// only one of its run.
func (w *Worker) logSettled(h *held, v verdict, err error) {
	var fields []zap.Field
	if v.kind == answered {
		fields = outbox.Fields(h.result(v), h.place)
	} else {
		fields = h.fields()
	}
	fields = append(fields, zap.String("verdict", string(v.kind)), zap.Int("receives", h.delivery.ReceiveCount))
	switch v.kind {
	case putBack, leave:
		fields = append(fields, zap.String("why", v.why), zap.Duration("within", v.within))
	case bury:
		fields = append(fields, zap.String("type", v.reason.Type), zap.String("reason", v.reason.Message))
	}
	switch {
	case errors.Is(err, ledger.ErrLost):
		w.log.Warn("run was taken over by another worker", append(fields, zap.Error(err))...)
	case err != nil:
		w.log.Error("run could not be settled; its delivery will come again", append(fields, zap.Error(err))...)
	case v.kind == bury:
		w.log.Error("delivery is buried", fields...)
	case v.kind == answered:
		w.runs.Info("run settled", fields...)
	default:
		w.log.Info("delivery settled without a result", fields...)
	}
}
