package dispatcher

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// admit decides what a request becomes (sent on, answered, or buried). If it
// returns no error, that has been done durably.
func (d *Dispatcher) admit(ctx context.Context, delivery queue.Delivery) (became outcome, err error) {
	if err := claimcheck.Problem(delivery); err != nil {
		return outcomeBuried, d.buryRequest(ctx, delivery, run.RefuseClaimCheck(err))
	}
	r, refused := d.deps.Policy.Decode(delivery.Body, time.Now())
	if traced := d.trace(r, delivery); traced != nil {
		defer func() { emitIntake(traced, delivery, became, err) }()
	}
	if refused == nil {
		if moved, err := d.move(ctx, r, delivery); moved || err != nil {
			return outcomeMoved, err
		}
		refused = d.deps.Tenants.Admit(r.Tenant)
	}
	if refused == nil {
		if r, refused, err = d.resolve(ctx, r); err != nil {
			return outcomePutBack, err
		}
	}
	switch {
	case refused != nil && !r.Attributable():
		return outcomeBuried, d.buryRequest(ctx, delivery, refused)
	case refused != nil:
		return outcomeRejected, d.reject(ctx, r, delivery, refused)
	case r.Type == run.TypeCancelled:
		return outcomeCancelled, d.conclude(ctx, r, delivery, func(ctx context.Context) (run.Result, error) {
			return d.cancel(ctx, r)
		})
	}
	return d.forward(ctx, r, delivery)
}
