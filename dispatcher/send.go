package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// way leads to one partition, or to the side partition.
type way struct {
	label  string // its number, or "side"
	sender *queue.Sender
	sent   prometheus.Counter
}

func (d *Dispatcher) newWay(label string, q queue.Queue) *way {
	return &way{label: label, sender: queue.NewSender(q, calls), sent: d.metrics.sent.WithLabelValues(label)}
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
	to := d.place(r.Tenant)
	err = to.sender.Send(ctx, queue.Message{
		Body: delivery.Body, Group: r.Tenant, Attributes: run.Carry(delivery.SentAt),
	})
	if errors.Is(err, queue.ErrTooLarge) || errors.Is(err, queue.ErrInvalid) {
		return outcomeRejected, d.reject(ctx, r, delivery, &run.Error{
			Owner: run.OwnerAuthor, Type: "RequestTooLarge",
			Message: fmt.Sprintf("The request of %d bytes does not fit on the queue to the workers: pass less, or a reference to it.", len(delivery.Body)),
		})
	}
	if err != nil {
		return outcomePutBack, fmt.Errorf("send run %s to partition %s: %w", r.Key, to.label, err)
	}
	to.sent.Inc()
	return outcomeForwarded, nil
}

// place chooses the tenant's partition: the emptier of its shard, or the side
// partition, which workers drain with what is left over, once the tenant is over
// its backlog budget.
func (d *Dispatcher) place(tenant string) *way {
	limits := d.deps.Tenants.Limits(tenant)
	if d.backlogs.over(tenant, limits.MaxBacklog) && d.side != nil {
		return d.side
	}
	return d.ways[d.route.choose(tenant, limits.Partitions)]
}

// flushAccepts notes many runs in the ledger in one round trip.
func (d *Dispatcher) flushAccepts(ctx context.Context, es []ledger.Entry) ([]ledger.State, []error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	states, err := d.deps.Ledger.Accept(ctx, es)
	errs := make([]error, len(es))
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return states, errs
}
