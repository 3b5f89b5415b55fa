package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// source is a partition, and what deletes its deliveries and puts them back.
type source struct {
	queue  queue.Queue
	delete *queue.Deleter
	extend *queue.Extender
	away   *lasting.Fault
	look   time.Duration // see lookEvery
}

func (w *Worker) newSource(q queue.Queue) *source {
	log := w.log.With(zap.String("queue", q.Name()))
	return &source{
		queue: q, delete: queue.NewDeleter(q, 2, w.guard), extend: queue.NewExtender(q, 1, w.guard),
		away: lasting.New(log, "cannot receive; trying again", "receiving again"), look: lookEvery,
	}
}

// receive takes deliveries from one partition into hand until intake ends. A
// poll under way is let finish, since cancelling it could hide messages; what it
// brings then is put back at once, by the way that every delivery in hand takes
// when the worker stops.
//
// Room is looked at before a poll and not reserved for it, since most polls wait
// at empty partitions: several may see the same room, so that up to MaxBatch
// deliveries a partition more than there is room for can be in hand, waiting.
//
// Deliveries above their tenant's share are kept, see kept.go. After that the
// partition is asked only for as many as this tenant may have, and for one
// delivery every lookEvery: fair delivery brings other tenants' first.
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
				s.away.Met(err)
				w.breaker.Open(err)
			}
			continue
		}
		s.away.Over()
		w.metrics.received.Add(float64(len(ds)))
		over := false
		for _, d := range ds {
			if !w.offer(intake, work, s, d) {
				crowd, over = d.Group, true
			}
		}
		switch {
		case over:
			pause = true
		case len(ds) < n:
			pause = false // the partition is empty
		}
	}
}

// offer takes a delivery into hand, or keeps it, or puts it back. It is false for
// one that is above its tenant's share.
func (w *Worker) offer(intake, work context.Context, s *source, d queue.Delivery) bool {
	h, over := w.inflight.takeOrKeep(intake, work, s, d)
	w.inflight.wg.Go(func() {
		if h != nil {
			defer w.inflight.letGo(h)
		}
		if h != nil && (!over || w.inflight.awaitShare(h)) {
			w.handle(h, w.work)
			return
		}
		w.guard.Catch(func() { w.putBackUnread(intake, s, d) }, func() []zap.Field { return []zap.Field{zap.String("tenant", d.Group)} })
	})
	return !over
}

// inHand takes a delivery into hand, whatever its tenant's share is.
func (w *Worker) inHand(intake, work context.Context, s *source, d queue.Delivery, walk func(*held) verdict) {
	h := w.inflight.take(intake, work, s, d)
	w.inflight.wg.Go(func() {
		defer w.inflight.letGo(h)
		w.handle(h, walk)
	})
}

// handle walks a delivery to a verdict and carries that out.
func (w *Worker) handle(h *held, walk func(*held) verdict) {
	var v verdict
	if p := w.guard.Catch(func() { v = walk(h) }, h.fields); p != nil {
		v = w.verdict(h, function.Outcome{}, p)
	}
	w.inflight.leaves(h)
	if p := w.guard.Catch(func() { w.settle(h, v) }, h.fields); p != nil {
		// A result that says so may still go out; else the delivery comes again.
		w.guard.Catch(func() { w.settle(h, w.verdict(h, function.Outcome{}, p)) }, h.fields)
	}
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
