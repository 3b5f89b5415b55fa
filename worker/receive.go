package worker

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// source is a partition, and what deletes its deliveries.
type source struct {
	queue  queue.Queue
	delete *queue.Deleter
	look   time.Duration // see lookEvery
}

func newSource(q queue.Queue) *source {
	return &source{queue: q, delete: queue.NewDeleter(q, 2), look: lookEvery}
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
// What is above its tenant's share goes back unread. A partition that brought
// such is asked for no more than the tenant may have, and for one now and then:
// fair delivery brings the others first.
func (w *Worker) receive(intake, work context.Context, s *source, room func(context.Context) int) {
	crowd, pause := "", false // the tenant that fills the partition, and whether nobody else came
	for w.breaker.Wait(intake) == nil {
		n := min(room(intake), queue.MaxBatch)
		if n == 0 {
			return // intake has ended
		}
		if pause {
			n = min(n, w.inflight.crowded(intake, crowd, around(s.look)))
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
			w.inflight.wg.Go(func() { w.returns(intake, s, over) })
		case len(ds) < n:
			pause = false // that was all
		}
	}
}

// inHand takes a delivery into hand and walks it to its end.
func (w *Worker) inHand(intake, work context.Context, s *source, d queue.Delivery, walk func(*held) verdict) {
	h := w.inflight.take(intake, work, s, d)
	go func() {
		defer w.inflight.letGo(h)
		v := walk(h)
		w.inflight.leaves(h)
		w.settle(h, v)
	}()
}
