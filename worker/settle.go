package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// settle carries a verdict out, and logs it, once.
func (w *Worker) settle(h *held, v verdict) {
	var err error
	switch v.kind {
	case answered:
		err = w.answer(h, h.result(v))
	case republish:
		err = w.publish(h, v.stored, nil)
	case remove:
		err = w.remove(h)
	case putBack:
		err = w.putBack(h, v)
	case bury:
		err = w.bury(h, v.reason)
	}
	w.metrics.settled(h, v)
	w.logSettled(h, v, err)
}

// result is the event that ends the run as the verdict says.
func (h *held) result(v verdict) run.Result {
	r := h.run.Result(v.outcome.Status, time.Now())
	r.Data.Error, r.Data.Output, r.Data.Logs = v.outcome.Error, v.outcome.Output, v.outcome.Logs
	r.Data.Attempt = max(1, h.attempts)
	r.Data.MayHaveExecuted = h.mayHaveExecuted()
	r.Data.Build.Outcome = h.built.Outcome
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
			ColdStart:   report.Init > 0,
			MaxMemoryMB: report.MaxMemoryMB,
			BilledMS:    int(report.Billed.Milliseconds()),
		}
	}
	return r
}

// answer writes the result down, publishes it and deletes the delivery, in this
// order.
func (w *Worker) answer(h *held, res run.Result) error {
	h.timeline.Mark(run.StagePublish, time.Now())
	res.Data.Timings = h.timeline.Timings()
	body, err := res.Encode()
	if err != nil {
		return w.answer(h, h.result(answers(run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "ResultNotEncodable", Message: fmt.Sprintf("The result could not be written: %v.", err),
		})))
	}
	hold, ok := h.currentHold()
	if !ok {
		return fmt.Errorf("write the result down: %w", ledger.ErrLost)
	}
	_, err = retryWhileAway(h.work, w, func() (struct{}, error) {
		return w.finishes.Do(uncut(h.work), ledger.Finish{Hold: hold, Status: res.Data.Status, Result: body})
	})
	if err != nil {
		// Also where the drain is over and the ledger out of reach: the delivery
		// comes again, and a result that the ledger does not know would then be
		// followed by another, and leave the books open.
		return fmt.Errorf("write the result down: %w", err)
	}
	h.dropHold() // settled: nobody can take it any more
	return w.publish(h, body, res.Attributes())
}

// publish sends the result event, for as long as it takes, and then lets go of
// the run: the ledger drops the result and the partition the delivery.
func (w *Worker) publish(h *held, body []byte, attributes map[string]string) error {
	if attributes == nil {
		res, err := run.DecodeResult(body)
		if err != nil {
			return fmt.Errorf("read the stored result: %w", err)
		}
		attributes = res.Attributes()
	}
	m := queue.Message{Body: body, Group: h.run.Tenant, Attributes: attributes}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := w.results.Send(uncut(h.work), m)
		if err == nil {
			break
		}
		if refusedForGood(err) {
			return w.publishTooLarge(h, body)
		}
		w.breaker.Open(err)
		w.log.Warn("cannot publish a result; trying again", zap.String("run", string(h.run.Key)), zap.Error(err))
		select {
		case <-h.work.Done():
			// It is written down: the next delivery publishes it.
			return fmt.Errorf("publish: %w", err)
		case <-time.After(rand.N(pause)):
		}
	}
	w.metrics.result(attributes[run.AttributeStatus])
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := w.published.Do(uncut(h.work), h.run.Key); err != nil {
			w.log.Warn("cannot note that a result is out; a duplicate would repeat it", zap.String("run", string(h.run.Key)), zap.Error(err))
		}
	})
	err := w.remove(h)
	wg.Wait()
	return err
}

// refusedForGood tells whether no queue would take a message, however often it
// is sent.
func refusedForGood(err error) bool {
	return errors.Is(err, queue.ErrTooLarge) || errors.Is(err, queue.ErrInvalid)
}

// publishTooLarge publishes, in the place of a result that its queue does not
// take, the same without its output and logs. It is made of the stored result
// alone, so that it is the same whenever it is made.
func (w *Worker) publishTooLarge(h *held, body []byte) error {
	res, err := run.DecodeResult(body)
	if err != nil {
		return fmt.Errorf("read the result that is too large: %w", err)
	}
	if res.Data.Status == run.Succeeded {
		res.Data.Status = run.Failed
	}
	res.Data.Output, res.Data.Logs, res.Data.Build.Log = nil, run.Logs{Truncated: true}, nil
	res.Data.Error = &run.Error{
		Owner: run.OwnerAuthor, Type: "ResultTooLarge",
		Message: fmt.Sprintf("The script has run, and its result of %d bytes is more than the results queue takes: return less, or a reference to it.", len(body)),
	}
	small, err := res.Encode()
	if err != nil {
		return fmt.Errorf("encode the result in place of one that is too large: %w", err)
	}
	return w.publish(h, small, res.Attributes())
}

func (w *Worker) remove(h *held) error {
	err := h.source.delete.Delete(uncut(h.work), h.delivery)
	if err != nil && !errors.Is(err, queue.ErrGone) {
		return fmt.Errorf("delete the delivery, which will come again and be known: %w", err)
	}
	return nil
}

// putBack gives the claim and the delivery back.
func (w *Worker) putBack(h *held, v verdict) error {
	ctx, cancel := context.WithTimeout(uncut(h.work), optionalTimeout)
	defer cancel()
	if hold, ok := h.currentHold(); ok {
		h.dropHold()
		if err := w.deps.Ledger.Release(ctx, hold, v.executed); err != nil {
			w.log.Warn("cannot release a claim; it runs out by itself", zap.String("run", string(h.run.Key)), zap.Error(err))
		}
	}
	err := h.source.queue.Extend(ctx, []queue.Delivery{h.delivery}, putBackDelay(v.within))[0]
	if err != nil && !errors.Is(err, queue.ErrGone) {
		return fmt.Errorf("put back: %w", err)
	}
	return nil
}

// putBackDelay is a time between one second and within, in whole seconds as queues take
// it, so that what was put back together does not come again together.
func putBackDelay(within time.Duration) time.Duration {
	if within > time.Second {
		within = time.Second + rand.N(within-time.Second)
	}
	return within.Round(time.Second)
}

// bury puts what nobody can be answered for on the dead-letter queue.
func (w *Worker) bury(h *held, reason *run.Error) error {
	if err := w.writeLetter(h, reason); err != nil {
		return err
	}
	return w.remove(h)
}

func (w *Worker) writeLetter(h *held, reason *run.Error) error {
	err := w.deps.DeadLetter.Send(uncut(h.work), []queue.Message{{
		Body: h.delivery.Body, Group: h.delivery.Group,
		Attributes: map[string]string{
			run.AttributeReason: reason.Message, run.AttributeErrorType: reason.Type,
		},
	}})[0]
	if err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	return nil
}

func (w *Worker) logSettled(h *held, v verdict, err error) {
	fields := []zap.Field{
		zap.String("verdict", string(v.kind)), zap.String("tenant", h.run.Tenant), zap.String("run", string(h.run.Key)),
		zap.String("id", h.run.ID), zap.Int("receives", h.delivery.ReceiveCount),
	}
	switch v.kind {
	case answered:
		fields = append(fields, zap.String("status", string(v.outcome.Status)), zap.Int("attempt", max(1, h.attempts)),
			zap.String("build", string(h.built.Outcome)), zap.Int64("total_ms", h.timeline.Timings().Total))
		if e := v.outcome.Error; e != nil {
			fields = append(fields, zap.String("owner", string(e.Owner)), zap.String("type", e.Type))
		}
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
	default:
		w.log.Info("run settled", fields...)
	}
}
