package dispatcher

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// sendWithin bounds the wait for a send. It is well below visibility, so that
// the request can still be put back.
const sendWithin = 10 * time.Second

// behind is how long the first in line of a way may wait before no more
// requests may enter. In that time SQS sends more than the default MaxInHand.
const behind = 500 * time.Millisecond

// slowFor is how long the first in line of a partition may wait before runs are
// spread over all partitions.
const slowFor = 100 * time.Millisecond

// untriedFor is how long after a failure only tenants whose shard has the
// partition try it again.
const untriedFor = time.Minute

// errAway is the reason for putting a request back whose next queue accepts
// nothing now.
var errAway = errors.New("dispatcher: the queue is away or behind")

// way is the path to a queue to which requests go: a partition, the side
// partition, the results queue, or the dead-letter queue.
type way struct {
	sender *queue.Sender
	queue  string  // name
	sent   func()  // counts what was sent to a partition
	away   *outage // since a failed send

	// Guarded by room.mu:
	line     list.List // the arrival times of requests that are being sent; oldest first
	bytes    int       // of their bodies
	answered time.Time // when a send last succeeded, or the first entered an empty line
}

func newWay(log *zap.Logger, q queue.Queue, linger time.Duration, sent func(), guard panics.Guard) *way {
	return &way{
		sender: queue.NewSender(q, calls, linger, guard), queue: q.Name(), sent: sent,
		away: newOutage(log.With(zap.String("queue", q.Name())),
			"queue is away; what goes to it is put back until it answers", "queue answers again"),
	}
}

// forward accepts the run in the ledger and sends the request on, unchanged but
// for a reference, which it resolves. A
// run whose result is known is not sent: the worker or dispatcher that has it
// in hand publishes it. Every other run is sent, also if it was accepted
// before, because a dispatcher may have died between the two steps. If one
// partition of the tenant is away, it is sent to another.
func (d *Dispatcher) forward(ctx context.Context, r run.Run, delivery queue.Delivery) (outcome, error) {
	state, err := d.accept.Do(ctx, ledger.EntryOf(r))
	if err != nil {
		return outcomePutBack, fmt.Errorf("note run %s in the ledger: %w", r.Key, err)
	}
	if state == ledger.Done || state == ledger.Published {
		return outcomeDuplicate, nil
	}
	d.ledgerAway.over()
	body, err := d.body(ctx, &r, state, delivery)
	if err != nil {
		return outcomePutBack, err
	}
	to, load := d.place(r.Tenant)
	m := queue.Message{Body: body, Group: r.Tenant, Attributes: run.Carry(delivery.SentAt, load)}
	if delivery.TraceHeader != "" {
		m.TraceHeader = trace.PlaceOf(r, delivery.TraceHeader).XRay()
	}
	err = d.sendBy(ctx, to, m)
	if errors.Is(err, errAway) {
		if other, _ := d.place(r.Tenant); other != to {
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

// sendBy sends a message by a way. After a failed send, one message at a time
// is tried, each after a pause; the others come again later.
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
		w.away.over()
		return nil
	case queue.Refused(err) || ctx.Err() != nil:
		return err
	case waiting.Err() != nil && !d.room.silent(w, within):
		return errAway // the queue answers, but the line is too slow
	}
	w.away.met(err)
	return fmt.Errorf("%w: %w", errAway, err)
}

// place chooses the tenant's way: a partition of its shard; or, once the tenant
// is over its budget of open runs, the side partition, for which workers use
// only left-over room. See backlogs and router.
func (d *Dispatcher) place(tenant string) (*way, run.Load) {
	limits := d.deps.Tenants.Limits(tenant)
	over, load := d.backlogs.add(tenant, limits)
	if over && d.side != nil {
		return d.side, load
	}
	return d.partitions[d.route.choose(tenant, limits.Partitions)], load
}

// The methods of routes:

func (d *Dispatcher) high() bool      { return d.backlogs.high(d.room.unsent()) }
func (d *Dispatcher) away(p int) bool { return d.partitions[p].away.Paused() }
func (d *Dispatcher) fails(p int) bool {
	w := d.partitions[p]
	return w.away.within(untriedFor) || d.room.slow(w)
}

// flushAccepts accepts many runs in the ledger in one round trip.
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
