package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// concludeWithin bounds the time to answer a request that is not sent on. It is
// also how long the claim of a dispatcher that died meanwhile blocks the next.
const concludeWithin = 10 * time.Second

// conclude answers a request that is not sent on: a refused one, or a
// cancellation. Its result goes out by the outbox, as a run's does: so a
// request that comes again gets the same event, byte for byte, and the books
// count it.
func (d *Dispatcher) conclude(
	ctx context.Context, r run.Run, delivery queue.Delivery, decide func(context.Context) (run.Result, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, concludeWithin)
	defer cancel()
	claim := ledger.Claim{Entry: ledger.EntryOf(r), Owner: "dispatcher/" + delivery.Handle}
	place := trace.PlaceOf(r, delivery.TraceHeader)
	var answer *run.Result // nil: it was answered before
	err := d.outbox.Answer(ctx, claim, func(ctx context.Context) (run.Result, error) {
		res, err := decide(ctx)
		if err != nil {
			return run.Result{}, err
		}
		if res.Traceparent == "" {
			res.Traceparent = place.Traceparent()
		}
		timeline := run.NewTimeline(delivery.SentAt)
		timeline.Mark(run.StageIntake, time.Now())
		res.Data.Timings = timeline.Timings()
		res.Data.Attempt = 1
		answer = &res
		return res, nil
	})
	if err == nil {
		d.ledgerAway.over()
		if answer != nil {
			d.trace(r, delivery).End(*answer, time.Now())
			d.runs.Info("run settled", append(outbox.Fields(*answer, place), zap.Int("receives", delivery.ReceiveCount))...)
		}
	}
	return err
}

// reject answers a refused request.
func (d *Dispatcher) reject(ctx context.Context, r run.Run, delivery queue.Delivery, refused *run.Error) error {
	return d.conclude(ctx, r, delivery, func(context.Context) (run.Result, error) {
		return r.Rejected(refused, time.Now()), nil
	})
}

// cancel marks a run of the same tenant and source as cancelled, and answers with
// the state that the run was in. A run that was being invoked is not cancelled;
// the mark then only prevents a further attempt. A run that the ledger does not
// know is answered as unknown; the mark is there in case its request is still on
// its way.
func (d *Dispatcher) cancel(ctx context.Context, r run.Run) (run.Result, error) {
	state, err := d.deps.Ledger.Cancel(ctx, ledger.Entry{
		Key: r.CancelsKey(), Tenant: r.Tenant, Source: r.Source, ID: r.Data.Run,
	})
	if err != nil {
		return run.Result{}, fmt.Errorf("mark run %s as cancelled: %w", r.CancelsKey(), err)
	}
	output := run.CancelOutput{
		Run: r.Data.Run, State: string(state), Cancelled: state == ledger.Queued || state == ledger.Claimed,
	}
	if state == ledger.Unknown {
		output.State = "unknown"
	}
	res := r.Result(run.Succeeded, time.Now())
	res.Data.Output, err = json.Marshal(output)
	if err != nil {
		return run.Result{}, fmt.Errorf("encode the answer to a cancellation: %w", err)
	}
	return res, nil
}

// buryRequest puts a request whose run no result can name on the dead-letter
// queue, with the reason.
func (d *Dispatcher) buryRequest(ctx context.Context, delivery queue.Delivery, reason *run.Error) error {
	err := d.sendBy(ctx, d.deadLetter, queue.Message{Body: delivery.Body, Attributes: map[string]string{
		run.AttributeReason: reason.Message, run.AttributeErrorType: reason.Type,
	}})
	if err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	d.log.Error("request is buried: no result can go to anybody",
		zap.String("message", delivery.MessageID), zap.String("type", reason.Type), zap.String("reason", reason.Message))
	return nil
}
