package dispatcher

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// visibility is much longer than one dispatch takes; after it a request comes
// again whose dispatcher has died.
const visibility = 30 * time.Second

// poll receives requests as room allows until intake ends. Each request has its
// own goroutine, so the next poll waits for room, not for the slowest request
// of the last poll. The requests of the last poll are handled like all others:
// that takes no longer than putting them back.
func (d *Dispatcher) poll(intake, work context.Context, inHand *sync.WaitGroup) {
	for d.requestsAway.Wait(intake) == nil && d.ledgerAway.Wait(intake) == nil {
		n := d.room.reserve(intake)
		if n == 0 {
			return // intake has ended
		}
		ds, err := d.receive(intake, n)
		if err != nil {
			if intake.Err() == nil {
				d.requestsAway.met(err)
			}
			continue
		}
		d.requestsAway.over()
		d.metrics.received.Add(float64(len(ds)))
		for _, delivery := range ds {
			inHand.Go(func() {
				defer d.room.gone(delivery)
				// After a panic in the answer too, the request comes again when its
				// visibility runs out.
				d.catch(delivery, func() { d.handle(work, delivery) })
			})
		}
	}
}

// receive polls once, for at most the n requests that were reserved.
func (d *Dispatcher) receive(intake context.Context, n int) (ds []queue.Delivery, err error) {
	defer func() { d.room.arrived(n, ds) }()
	return d.deps.Requests.Receive(intake, queue.Poll{Max: n, Wait: d.cfg.PollWait, Visibility: visibility})
}

// handle moves one request to its next queue and deletes it from this one. On
// any error the request comes again after a delay.
func (d *Dispatcher) handle(ctx context.Context, delivery queue.Delivery) {
	outcome, err := d.dispatch(ctx, delivery)
	if errors.Is(err, ledger.ErrUnavailable) {
		d.ledgerAway.met(err)
	}
	if err == nil {
		if err = d.delete.Delete(ctx, delivery); errors.Is(err, queue.ErrGone) {
			err = nil
		} else if err != nil && ctx.Err() == nil {
			d.requestsAway.met(err)
		}
	}
	if err != nil {
		d.putBack(ctx, delivery, err)
		outcome = outcomePutBack
	}
	d.metrics.handled(outcome, delivery.SentAt)
}

// putBack makes a request come again, after a delay that grows with its
// receives. An error that affects all requests was already logged once.
func (d *Dispatcher) putBack(ctx context.Context, delivery queue.Delivery, why error) {
	level := zap.WarnLevel
	var held *outbox.HeldError
	if errors.Is(why, ledger.ErrUnavailable) || errors.Is(why, errAway) || errors.As(why, &held) {
		level = zap.DebugLevel
	}
	d.log.Log(level, "request is put back", zap.String("message", delivery.MessageID),
		zap.Int("receives", delivery.ReceiveCount), zap.Error(why))
	delay := time.Second + rand.N(min(time.Duration(delivery.ReceiveCount)*2*time.Second, visibility))
	// If this fails, the request comes again when its visibility runs out.
	_ = d.extend.Extend(ctx, delivery, delay.Round(time.Second))
}
