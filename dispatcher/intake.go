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

const (
	// visibility is much longer than one dispatch takes; after it a request comes
	// again whose dispatcher has died.
	visibility = 30 * time.Second
	// lineWithin is how long a request may wait for its turn. It is then put back,
	// while it is still ours for longer than its dispatch takes.
	lineWithin = visibility / 2
)

// errLine is the reason for putting a request back that has waited too long.
var errLine = errors.New("dispatcher: the request has waited too long for its turn")

// poll receives requests as room allows until intake ends. What it receives
// waits in room's line, from where tenants have turns; each request at work has
// its own goroutine. The requests of the last poll are handled like all others:
// that takes no longer than putting them back.
//
// This is the long poll. While polls come full, others that do not wait are made
// beside it: see queue.Polls.
func (d *Dispatcher) poll(intake, work context.Context, inHand *sync.WaitGroup) {
	for d.requestsAway.Wait(intake) == nil && d.ledgerAway.Wait(intake) == nil {
		n := d.room.reserve(intake)
		if n == 0 {
			return // intake has ended
		}
		if got, err := d.receive(intake, n, d.cfg.PollWait); err == nil {
			d.serve(work, inHand)
			d.pollMore(intake, work, inHand, d.polls.Came(got, n))
		}
	}
}

// pollMore begins further polls. Each is repeated while it comes full.
func (d *Dispatcher) pollMore(intake, work context.Context, inHand *sync.WaitGroup, polls int) {
	further := func() {
		for intake.Err() == nil {
			n := d.room.tryReserve()
			if n == 0 {
				return
			}
			began := time.Now()
			got, err := d.receive(intake, n, 0)
			if err != nil {
				return
			}
			d.serve(work, inHand)
			d.pollMore(intake, work, inHand, d.polls.FurtherCame(got, n, time.Since(began)))
			if got < n {
				return
			}
		}
	}
	for range polls {
		inHand.Go(func() {
			defer d.polls.Ended()
			d.guard.Catch(further, nil)
		})
	}
}

// receive polls once, for the n requests that were reserved, and puts what
// comes in line.
func (d *Dispatcher) receive(intake context.Context, n int, wait time.Duration) (got int, err error) {
	var ds []queue.Delivery
	defer func() { d.room.arrived(n, ds) }()
	ds, err = d.deps.Requests.Receive(intake, queue.Poll{Max: n, Wait: wait, Visibility: visibility})
	if err != nil {
		if intake.Err() == nil {
			d.requestsAway.met(err)
		}
		return 0, err
	}
	d.requestsAway.over()
	d.metrics.received.Add(float64(len(ds)))
	return len(ds), nil
}

// serve puts the requests to work whose turn it is.
func (d *Dispatcher) serve(work context.Context, inHand *sync.WaitGroup) {
	for {
		delivery, ok := d.room.next()
		if !ok {
			return
		}
		inHand.Go(func() {
			defer d.room.gone(delivery)
			done := sync.OnceFunc(func() {
				d.room.done()
				d.serve(work, inHand)
			})
			defer done()
			// After a panic in the answer too, the request comes again when its
			// visibility runs out.
			d.catch(delivery, func() { d.handle(work, delivery, done) })
		})
	}
}

// handle moves one request to its next queue and deletes it from this one. On
// any error the request comes again after a delay. It calls done once the
// request is moved: its delete waits for others, and delays no request.
func (d *Dispatcher) handle(ctx context.Context, delivery queue.Delivery, done func()) {
	outcome, err := outcomePutBack, errLine
	if time.Since(delivery.ReceivedAt) < lineWithin {
		outcome, err = d.dispatch(ctx, delivery)
	}
	done()
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
	if errors.Is(why, ledger.ErrUnavailable) || errors.Is(why, errAway) || errors.Is(why, errLine) || errors.As(why, &held) {
		level = zap.DebugLevel
	}
	d.log.Log(level, "request is put back", zap.String("message", delivery.MessageID),
		zap.Int("receives", delivery.ReceiveCount), zap.Error(why))
	delay := time.Second + rand.N(min(time.Duration(delivery.ReceiveCount)*2*time.Second, visibility))
	// If this fails, the request comes again when its visibility runs out.
	_ = d.extend.Extend(ctx, delivery, delay.Round(time.Second))
}
