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

// visibility covers the dispatch of a request many times over; a request of a
// dispatcher that died comes back after it.
const visibility = 30 * time.Second

// poll receives requests as room allows until intake ends. Each request is
// handled by its own goroutine: the next poll waits for room, and not for the
// slowest of the last. The requests of the last poll are handled like any other:
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
				d.pause(&d.requestsAway, err)
			}
			continue
		}
		d.goOn(&d.requestsAway)
		d.metrics.received.Add(float64(len(ds)))
		for _, delivery := range ds {
			inHand.Go(func() {
				defer d.room.gone(delivery)
				// What panics past its answer comes again when its visibility runs out.
				d.catch(delivery, func() { d.handle(work, delivery) })
			})
		}
	}
}

// receive polls once, for requests that take the place of the n reserved ones.
func (d *Dispatcher) receive(intake context.Context, n int) (ds []queue.Delivery, err error) {
	defer func() { d.room.arrived(n, ds) }()
	return d.deps.Requests.Receive(intake, queue.Poll{Max: n, Wait: d.cfg.PollWait, Visibility: visibility})
}

// handle takes one request to its next queue and then off this one. Whatever
// stands in the way, the request comes back after a delay.
func (d *Dispatcher) handle(ctx context.Context, delivery queue.Delivery) {
	outcome, err := d.dispatch(ctx, delivery)
	if errors.Is(err, ledger.ErrUnavailable) {
		d.pause(&d.ledgerAway, err)
	}
	if err == nil {
		if err = d.delete.Delete(ctx, delivery); errors.Is(err, queue.ErrGone) {
			err = nil
		} else if err != nil && ctx.Err() == nil {
			d.pause(&d.requestsAway, err)
		}
	}
	if err != nil {
		d.putBack(ctx, delivery, err)
		outcome = outcomePutBack
	}
	d.metrics.handled(outcome, delivery.SentAt)
}

// putBack lets a request come again after a delay that grows with its receives.
// What all requests meet has been logged once already.
func (d *Dispatcher) putBack(ctx context.Context, delivery queue.Delivery, why error) {
	level := zap.WarnLevel
	var held *outbox.HeldError
	if errors.Is(why, ledger.ErrUnavailable) || errors.Is(why, errAway) || errors.As(why, &held) {
		level = zap.DebugLevel
	}
	d.log.Log(level, "request is put back", zap.String("message", delivery.MessageID),
		zap.Int("receives", delivery.ReceiveCount), zap.Error(why))
	delay := time.Second + rand.N(min(time.Duration(delivery.ReceiveCount)*2*time.Second, visibility))
	// Where this fails, the request comes back when its visibility runs out.
	_ = d.extend.Extend(ctx, delivery, delay.Round(time.Second))
}
