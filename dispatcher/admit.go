package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// dispatch decides what a request becomes, and sees that it is there before it
// returns without an error.
func (d *Dispatcher) dispatch(ctx context.Context, delivery queue.Delivery) (outcome, error) {
	if err := claimcheck.Problem(delivery); err != nil {
		return outcomeBuried, d.buryRequest(ctx, delivery, &run.Error{
			Owner: run.OwnerAuthor, Type: "InvalidClaimCheck", Message: err.Error(),
		})
	}
	r, refused := d.deps.Policy.Decode(delivery.Body, time.Now())
	if refused == nil {
		refused = d.deps.Tenants.Admit(r.Tenant)
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

// reject answers a request that is refused.
func (d *Dispatcher) reject(ctx context.Context, r run.Run, delivery queue.Delivery, refused *run.Error) error {
	d.log.Info("request rejected", zap.String("tenant", r.Tenant), zap.String("run", string(r.Key)),
		zap.String("type", refused.Type), zap.String("reason", refused.Message))
	return d.conclude(ctx, r, delivery, func(context.Context) (run.Result, error) {
		return r.Rejected(refused, time.Now()), nil
	})
}

// forward notes the run in the ledger and sends it on as it came. A run whose
// result is known already needs no sending: whoever has it in hand publishes
// it. Any other is sent, even if it was seen before, since a dispatcher may have
// died between the two.
func (d *Dispatcher) forward(ctx context.Context, r run.Run, delivery queue.Delivery) (outcome, error) {
	state, err := d.accept.Do(ctx, ledger.EntryOf(r))
	if err != nil {
		return outcomePutBack, fmt.Errorf("note run %s in the ledger: %w", r.Key, err)
	}
	if state == ledger.Done || state == ledger.Published {
		return outcomeDuplicate, nil
	}
	partition := d.place(r.Tenant)
	err = d.send[partition].Send(ctx, queue.Message{
		Body: delivery.Body, Group: r.Tenant, Attributes: run.Carry(delivery.SentAt),
	})
	if errors.Is(err, queue.ErrTooLarge) || errors.Is(err, queue.ErrInvalid) {
		return outcomeRejected, d.reject(ctx, r, delivery, &run.Error{
			Owner: run.OwnerAuthor, Type: "RequestTooLarge",
			Message: fmt.Sprintf("The request of %d bytes does not fit on the queue to the workers: pass less, or a reference to it.", len(delivery.Body)),
		})
	}
	if err != nil {
		return outcomePutBack, fmt.Errorf("send run %s to partition %d: %w", r.Key, partition, err)
	}
	d.metrics.sent[partition].Inc()
	return outcomeForwarded, nil
}

// place chooses the tenant's partition: the emptier of its shard, or the side
// partition, which workers drain with what is left over, once the tenant is over
// its backlog budget.
func (d *Dispatcher) place(tenant string) int {
	if d.backlogs.over(tenant, d.deps.Tenants.MaxBacklog(tenant)) && d.deps.Side != nil {
		return len(d.deps.Partitions)
	}
	return d.route.choose(tenant, d.deps.Tenants.ShardSize(tenant))
}

// buryRequest puts a request that nobody can be answered for on the dead-letter
// queue, with the reason.
func (d *Dispatcher) buryRequest(ctx context.Context, delivery queue.Delivery, reason *run.Error) error {
	d.log.Error("request is buried: it names no tenant, source and id that a result could go to",
		zap.String("message", delivery.MessageID), zap.String("type", reason.Type), zap.String("reason", reason.Message))
	err := d.bury.Send(ctx, queue.Message{Body: delivery.Body, Attributes: map[string]string{
		run.AttributeReason: reason.Message, run.AttributeErrorType: reason.Type,
	}})
	if err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	return nil
}
