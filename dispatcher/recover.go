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

// dispatch calls admit, and answers a request on which our own code panics as
// platform_error, or buries it if no result can name it. The answer uses the
// same claim as admit, because both have the same owner. If the request was
// sent to its partition before the panic and a worker has claimed the run, the
// worker answers it; otherwise it is answered here.
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

// catch calls f, which handles one request. A panic ends f only.
func (d *Dispatcher) catch(delivery queue.Delivery, f func()) *panics.Error {
	return d.guard.Catch(f, func() []zap.Field { return []zap.Field{zap.String("message", delivery.MessageID)} })
}
