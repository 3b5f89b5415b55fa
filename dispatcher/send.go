package dispatcher

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/breaker"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// sendWithin bounds the wait for a place on a queue. It is well below the
// visibility, so that the request can still be put back.
const sendWithin = 10 * time.Second

// behind is how long the first in line for a queue waits before no other is let
// in. SQS sends more in that time than
// the default of what is in hand.
const behind = 500 * time.Millisecond

// errAway is why a request is put back whose next queue takes nothing now.
var errAway = errors.New("dispatcher: the queue is away or behind")

// way leads to a queue on which requests go on: a partition, the side partition,
// the results, the dead letters.
type way struct {
	sender *queue.Sender
	queue  string          // its name
	sent   func()          // counts what a partition got
	away   breaker.Breaker // open since a send failed

	// Guarded by room.mu:
	line     list.List // when each request came that is being sent; oldest first
	bytes    int       // of these
	answered time.Time // when a send went through, or the first came into an empty line
}

func newWay(q queue.Queue, sent func(), guard panics.Guard) *way {
	return &way{sender: queue.NewSender(q, calls, guard), queue: q.Name(), sent: sent}
}

// forward notes the run in the ledger and sends it on as it came. A run whose
// result is known already needs no sending: whoever has it in hand publishes
// it. Any other is sent, even if it was seen before, since a dispatcher may have
// died between the two. Where one partition of the tenant is away, it is sent to
// the other.
func (d *Dispatcher) forward(ctx context.Context, r run.Run, delivery queue.Delivery) (outcome, error) {
	state, err := d.accept.Do(ctx, ledger.EntryOf(r))
	if err != nil {
		return outcomePutBack, fmt.Errorf("note run %s in the ledger: %w", r.Key, err)
	}
	if state == ledger.Done || state == ledger.Published {
		return outcomeDuplicate, nil
	}
	d.goOn(&d.ledgerAway)
	m := queue.Message{Body: delivery.Body, Group: r.Tenant, Attributes: run.Carry(delivery.SentAt)}
	to := d.place(r.Tenant)
	err = d.sendBy(ctx, to, m)
	if errors.Is(err, errAway) {
		if other := d.place(r.Tenant); other != to {
			to, err = other, d.sendBy(ctx, other, m)
		}
	}
	if queue.Refused(err) {
		return outcomeRejected, d.reject(ctx, r, delivery, &run.Error{
			Owner: run.OwnerAuthor, Type: "RequestTooLarge",
			Message: fmt.Sprintf("The request of %d bytes does not fit on the queue to the workers: pass less, or a reference to it.", len(delivery.Body)),
		})
	}
	if err != nil {
		return outcomePutBack, fmt.Errorf("send run %s to %s: %w", r.Key, to.queue, err)
	}
	to.sent()
	return outcomeForwarded, nil
}

// sendBy sends a message by a way. A way whose last send failed is tried with
// one message at a time, after a pause; all others come back later.
func (d *Dispatcher) sendBy(ctx context.Context, w *way, m queue.Message) error {
	place, within, ok := d.room.enter(w, len(m.Body))
	if !ok {
		return errAway
	}
	defer d.room.leave(w, place, len(m.Body))
	waiting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := w.sender.Send(waiting, m)
	switch {
	case err == nil:
		d.room.answers(w)
		if w.away.Close() {
			d.log.Info("queue answers again", zap.String("queue", w.queue))
		}
		return nil
	case queue.Refused(err) || ctx.Err() != nil:
		return err
	case waiting.Err() != nil && !d.room.silent(w, within):
		return errAway // it answers, and is behind
	}
	if w.away.Open(err) {
		d.log.Warn("queue is away; what goes to it is put back until it answers", zap.String("queue", w.queue), zap.Error(err))
	}
	return fmt.Errorf("%w: %w", errAway, err)
}

// place chooses the tenant's partition: the emptier of its shard, or the side
// partition, which workers drain with what is left over, once the tenant is over
// its backlog budget.
func (d *Dispatcher) place(tenant string) *way {
	limits := d.deps.Tenants.Limits(tenant)
	if d.backlogs.over(tenant, limits.MaxBacklog) && d.side != nil {
		return d.side
	}
	return d.partitions[d.route.choose(tenant, limits.Partitions)]
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
