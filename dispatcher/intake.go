package dispatcher

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// visibility covers the dispatch of a batch many times over; a request of a
// dispatcher that died comes back after it.
const visibility = 30 * time.Second

// poll receives requests until intake ends. The requests of the last poll are
// dispatched like any other: that takes no longer than putting them back.
func (d *Dispatcher) poll(intake, work context.Context) {
	for d.breaker.Wait(intake) == nil {
		ds, err := d.deps.Requests.Receive(intake, queue.Poll{
			Max: queue.MaxBatch, Wait: d.cfg.PollWait, Visibility: visibility,
		})
		if err != nil {
			if intake.Err() == nil {
				d.log.Warn("cannot receive requests; trying again", zap.Error(err))
				d.breaker.Open(err)
			}
			continue
		}
		d.metrics.received.Add(float64(len(ds)))
		var wg sync.WaitGroup
		for _, delivery := range ds {
			wg.Go(func() { d.handle(work, delivery) })
		}
		wg.Wait()
	}
}

// handle takes one request to its next queue and then off this one. Whatever
// stands in the way, the request comes back after a delay.
func (d *Dispatcher) handle(ctx context.Context, delivery queue.Delivery) {
	outcome, err := d.admit(ctx, delivery)
	if err == nil {
		err = d.delete.Delete(ctx, delivery)
	}
	if err == nil || errors.Is(err, queue.ErrGone) {
		d.breaker.Close()
		d.metrics.handled(outcome, delivery.SentAt)
		return
	}
	d.metrics.handled(outcomePutBack, delivery.SentAt)
	d.log.Warn("request is put back", zap.String("message", delivery.MessageID),
		zap.Int("receives", delivery.ReceiveCount), zap.Error(err))
	if !errors.Is(err, errHeld) {
		d.breaker.Open(err)
	}
	delay := time.Second + rand.N(min(time.Duration(delivery.ReceiveCount)*2*time.Second, visibility))
	d.deps.Requests.Extend(ctx, []queue.Delivery{delivery}, delay.Round(time.Second))
}
