package dispatcher

import (
	"context"
	"encoding/json"
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
		d.log.Info("request rejected", zap.String("tenant", r.Tenant), zap.String("run", string(r.Key)),
			zap.String("type", refused.Type), zap.String("reason", refused.Message))
		return outcomeRejected, d.answerWith(ctx, r.Rejected(refused, time.Now()), delivery)
	case r.Type == run.TypeCancelled:
		return outcomeCancelled, d.cancel(ctx, r, delivery)
	}
	return d.forward(ctx, r, delivery)
}

// forward notes the run in the ledger and sends it on as it came. A run whose
// result is known already needs no sending: whoever has it in hand publishes
// it. Any other is sent, even if it was seen before, since a dispatcher may have
// died between the two.
func (d *Dispatcher) forward(ctx context.Context, r run.Run, delivery queue.Delivery) (outcome, error) {
	state, err := d.accept.Do(ctx, entry(r))
	if err != nil {
		return outcomePutBack, fmt.Errorf("note run %s in the ledger: %w", r.Key, err)
	}
	if state == ledger.Done || state == ledger.Published {
		return outcomeDuplicate, nil
	}
	partition := d.place(r.Tenant)
	err = d.send[partition].send(ctx, queue.Message{
		Body: delivery.Body, Group: r.Tenant, Attributes: run.Carry(delivery.SentAt),
	})
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

// cancel marks a run of the same tenant and source, and answers with the state
// that it was in.
func (d *Dispatcher) cancel(ctx context.Context, r run.Run, delivery queue.Delivery) error {
	state, err := d.deps.Ledger.Cancel(ctx, ledger.Entry{
		Key: r.CancelsKey(), Tenant: r.Tenant, Source: r.Source, ID: r.Data.Run,
	})
	if err != nil {
		return fmt.Errorf("mark run %s as cancelled: %w", r.CancelsKey(), err)
	}
	if state == ledger.Unknown {
		state = "unknown"
	}
	res := r.Result(run.Succeeded, time.Now())
	res.Data.Output, err = json.Marshal(map[string]any{
		"run": r.Data.Run, "state": state, "cancelled": state != ledger.Done && state != ledger.Published,
	})
	if err != nil {
		return fmt.Errorf("encode the answer to a cancellation: %w", err)
	}
	return d.answerWith(ctx, res, delivery)
}

// answerWith publishes the result of a request that goes no further.
func (d *Dispatcher) answerWith(ctx context.Context, res run.Result, delivery queue.Delivery) error {
	timeline := run.NewTimeline(delivery.SentAt)
	timeline.Mark(run.StageIntake, time.Now())
	res.Data.Timings = timeline.Timings()
	res.Data.Attempt = 1
	body, err := res.Encode()
	if err != nil {
		return fmt.Errorf("encode result %s: %w", res.ID, err)
	}
	err = d.answer.send(ctx, queue.Message{Body: body, Group: res.Tenant, Attributes: res.Attributes()})
	if err != nil {
		return fmt.Errorf("publish result %s: %w", res.ID, err)
	}
	return nil
}

// buryRequest puts a request that nobody can be answered for on the dead-letter
// queue, with the reason.
func (d *Dispatcher) buryRequest(ctx context.Context, delivery queue.Delivery, reason *run.Error) error {
	d.log.Error("request is buried: it names no tenant, source and id that a result could go to",
		zap.String("message", delivery.MessageID), zap.String("type", reason.Type), zap.String("reason", reason.Message))
	err := d.bury.send(ctx, queue.Message{Body: delivery.Body, Attributes: map[string]string{
		run.AttributeReason: reason.Message, run.AttributeErrorType: reason.Type,
	}})
	if err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	return nil
}

func entry(r run.Run) ledger.Entry {
	return ledger.Entry{
		Key: r.Key, Tenant: r.Tenant, Source: r.Source, ID: r.ID, Action: r.Data.Action, Script: r.Script.Hash,
	}
}
