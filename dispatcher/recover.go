package dispatcher

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// dispatch is admit for a request that may be one that our own code fails on:
// such a request is answered as platform_error, or buried where no result can
// go to anybody. The claim of the first try is the second's too, for it bears
// the same owner. A request that went to its partition before the panic is left
// to the worker that has claimed it, and answered here if none has.
func (d *Dispatcher) dispatch(ctx context.Context, delivery queue.Delivery) (became outcome, err error) {
	p := d.catch(delivery, func() { became, err = d.admit(ctx, delivery) })
	if p == nil {
		return became, err
	}
	reason := &run.Error{
		Owner: run.OwnerPlatform, Type: "InternalError",
		Message: fmt.Sprintf("The request was given up: %v. Tell the platform's operator this id.", p),
	}
	if again := d.catch(delivery, func() { became, err = d.giveUp(ctx, delivery, reason) }); again == nil {
		return became, err
	}
	return outcomeBuried, d.buryRequest(ctx, delivery, reason)
}

// giveUp answers a request as platform_error, or buries it.
func (d *Dispatcher) giveUp(ctx context.Context, delivery queue.Delivery, reason *run.Error) (outcome, error) {
	r, _ := d.deps.Policy.Decode(delivery.Body, time.Now())
	if !r.Attributable() {
		return outcomeBuried, d.buryRequest(ctx, delivery, reason)
	}
	return outcomeFailed, d.conclude(ctx, r, delivery, func(context.Context) (run.Result, error) {
		res := r.Result(run.PlatformError, time.Now())
		res.Data.Error = reason
		return res, nil
	})
}

// catch calls f, which handles one request. A panic ends f and nothing else.
func (d *Dispatcher) catch(delivery queue.Delivery, f func()) *panics.Error {
	return d.guard.Catch(f, func() []zap.Field { return []zap.Field{zap.String("message", delivery.MessageID)} })
}
