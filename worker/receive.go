package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// source is a partition, and what deletes its deliveries.
type source struct {
	queue  queue.Queue
	delete *queue.Deleter
	look   time.Duration // see lookEvery
}

func (w *Worker) newSource(q queue.Queue) *source {
	return &source{queue: q, delete: queue.NewDeleter(q, 2, w.guard), look: lookEvery}
}

// receive takes deliveries from one partition into hand until intake ends. A
// poll under way is let finish, since cancelling it could hide messages; what it
// brings then is put back at once, by the way that every delivery in hand takes
// when the worker stops.
//
// Room is looked at before a poll and not reserved for it: several polls may
// see the same room, so that up to MaxBatch deliveries a partition more than
// there is room for can be in hand, waiting.
//
// A delivery above its tenant's share goes back unread. After that the partition
// is asked only for as many as this tenant may have, and for one delivery every
// lookEvery: fair delivery brings other tenants' first.
func (w *Worker) receive(intake, work context.Context, s *source, room func(context.Context) int) {
	crowd, pause := "", false // the tenant that fills the partition, and whether it still does
	for w.breaker.Wait(intake) == nil {
		n := min(room(intake), queue.MaxBatch)
		if n == 0 {
			return // intake has ended
		}
		if pause {
			n = min(n, w.inflight.crowded(intake, crowd, jittered(s.look)))
		}
		ds, err := s.queue.Receive(intake, queue.Poll{
			Max: n, Wait: w.cfg.PollWait, Visibility: w.cfg.Visibility,
		})
		if err != nil {
			if intake.Err() == nil {
				w.log.Warn("cannot receive; trying again", zap.String("queue", s.queue.Name()), zap.Error(err))
				w.breaker.Open(err)
			}
			continue
		}
		w.metrics.received.Add(float64(len(ds)))
		var over []queue.Delivery
		for _, d := range ds {
			if !w.inflight.admits(d.Group) {
				over = append(over, d)
				continue
			}
			w.inHand(intake, work, s, d, w.work)
		}
		switch {
		case len(over) > 0:
			crowd, pause = over[0].Group, true
			w.inflight.wg.Go(func() {
				w.guard.Catch(func() { w.putBackUnread(intake, s, over) }, func() []zap.Field {
					return []zap.Field{zap.String("tenant", over[0].Group)}
				})
			})
		case len(ds) < n:
			pause = false // the partition is empty
		}
	}
}

// inHand takes a delivery into hand. Its goroutine walks it to a verdict and
// carries that out.
func (w *Worker) inHand(intake, work context.Context, s *source, d queue.Delivery, walk func(*held) verdict) {
	h := w.inflight.take(intake, work, s, d)
	go func() {
		defer w.inflight.letGo(h)
		var v verdict
		if p := w.guard.Catch(func() { v = walk(h) }, h.fields); p != nil {
			v = w.verdict(h, function.Outcome{}, p)
		}
		w.inflight.leaves(h)
		if p := w.guard.Catch(func() { w.settle(h, v) }, h.fields); p != nil {
			// A result that says so may still go out; else the delivery comes again.
			w.guard.Catch(func() { w.settle(h, w.verdict(h, function.Outcome{}, p)) }, h.fields)
		}
	}()
}

// lookEvery is how long, on average, a partition that one tenant fills is left
// alone before it is polled for other tenants. It adds to their wait, so it is
// short. On the side partition every tenant is over a budget: there it is longer.
const (
	lookEvery     = 20 * time.Millisecond
	lookSideEvery = 200 * time.Millisecond
)

// jittered is a time between half of d and one and a half.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// putBackUnread puts deliveries back that are above their tenant's share: at
// once after the first two receives, then with a growing delay, so that none
// reaches the number of receives at which its queue buries it.
func (w *Worker) putBackUnread(intake context.Context, s *source, ds []queue.Delivery) {
	w.metrics.crowded.Add(float64(len(ds)))
	delays := map[time.Duration][]queue.Delivery{}
	for _, d := range ds {
		delay := time.Duration(0)
		if d.ReceiveCount > 2 && intake.Err() == nil {
			delay = putBackDelay(time.Second << min(d.ReceiveCount-2, 6))
		}
		delays[delay] = append(delays[delay], d)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(intake), optionalTimeout)
	defer cancel()
	for delay, ds := range delays {
		for _, err := range s.queue.Extend(ctx, ds, delay) {
			if err != nil {
				w.log.Warn("cannot put a delivery back; it comes again by itself", zap.String("queue", s.queue.Name()), zap.Error(err))
				break
			}
		}
	}
}
