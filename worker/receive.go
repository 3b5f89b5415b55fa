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

// source is a partition, with the batchers that delete and put back its
// deliveries.
type source struct {
	queue  queue.Queue
	delete *queue.Deleter
	extend *queue.Extender
	away   *lasting.Fault
	polls  *queue.Polls
	room   int           // see inflight.room
	least  int           // room for a poll
	look   time.Duration // see lookEvery
}

func (w *Worker) newSource(q queue.Queue) *source {
	log := w.log.With(zap.String("queue", q.Name()))
	return &source{
		queue: q, delete: queue.NewDeleter(q, 2, w.guard), extend: queue.NewExtender(q, 1, w.guard),
		away:  lasting.New(log, "cannot receive; trying again", "receiving again"),
		polls: queue.NewPolls(roomFactor * w.cfg.Concurrency / queue.MaxBatch), room: roomFactor, least: 1, look: lookEvery,
	}
}

// receive takes deliveries from one partition into hand until intake ends. A
// running poll is not cancelled then, because that could hide messages; what it
// returns is put back at once, like every delivery in hand when the worker
// stops.
//
// Room is checked before a long poll and not reserved for it, because most polls
// wait at empty partitions. Several polls may use the same room, so up to
// MaxBatch deliveries per partition more than the room can be in hand, waiting.
// While polls come full, others that do not wait are made beside the long one:
// see queue.Polls. For those, room is reserved.
//
// Deliveries above their tenant's share are kept: see kept.go. After that the
// partition is asked only for as many as this tenant may have, and for one
// delivery every lookEvery: SQS's fair delivery returns other tenants'
// deliveries first.
func (w *Worker) receive(intake, work context.Context, s *source) {
	crowd, pause := "", false // the tenant that fills the partition, and whether it still does
	for w.breaker.Wait(intake) == nil {
		n := min(w.inflight.room(intake, s.room, s.least), queue.MaxBatch)
		if n == 0 {
			return // intake has ended
		}
		if pause {
			n = min(n, w.inflight.crowded(intake, crowd, jittered(s.look)))
		}
		got, err := w.poll(intake, work, s, n, w.cfg.PollWait)
		if err != nil {
			continue
		}
		switch {
		case got.over:
			crowd, pause = got.crowd, true
		case got.n < n || n == queue.MaxBatch:
			pause = false // the partition is empty, or the tenant has room for a full poll
		}
		if !pause {
			w.pollMore(intake, work, s, s.polls.Came(got.n, n))
		}
	}
}

// pollMore begins further polls. Each is repeated while it comes full and there
// is room for it.
func (w *Worker) pollMore(intake, work context.Context, s *source, polls int) {
	further := func() {
		for intake.Err() == nil && w.inflight.reserve(s.room) {
			began := time.Now()
			got, err := w.poll(intake, work, s, queue.MaxBatch, 0)
			w.inflight.unreserve()
			if err != nil || got.over {
				return
			}
			w.pollMore(intake, work, s, s.polls.FurtherCame(got.n, queue.MaxBatch, time.Since(began)))
			if got.n < queue.MaxBatch {
				return
			}
		}
	}
	for range polls {
		w.inflight.wg.Go(func() {
			defer s.polls.Ended()
			w.guard.Catch(further, nil)
		})
	}
}

// polled is what a poll brought: how many deliveries, and the tenant of those
// above their share.
type polled struct {
	n     int
	over  bool
	crowd string
}

// poll receives once, and takes what comes into hand.
func (w *Worker) poll(intake, work context.Context, s *source, n int, wait time.Duration) (got polled, err error) {
	ds, err := s.queue.Receive(intake, queue.Poll{Max: n, Wait: wait, Visibility: w.cfg.Visibility})
	if err != nil {
		if intake.Err() == nil {
			s.away.Met(err)
			w.breaker.Open(err)
		}
		return got, err
	}
	s.away.Over()
	w.metrics.received.Add(float64(len(ds)))
	got.n = len(ds)
	for _, d := range ds {
		if !w.offer(intake, work, s, d) {
			got.over, got.crowd = true, d.Group
		}
	}
	return got, nil
}

// offer takes a delivery into hand, or keeps it, or puts it back. It returns
// false for one above its tenant's share.
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

// inHand takes a delivery into hand, regardless of its tenant's share.
func (w *Worker) inHand(intake, work context.Context, s *source, d queue.Delivery, walk func(*held) verdict) {
	h := w.inflight.take(intake, work, s, d)
	w.inflight.wg.Go(func() {
		defer w.inflight.letGo(h)
		w.handle(h, walk)
	})
}

// handle walks a delivery to a verdict and settles it.
func (w *Worker) handle(h *held, walk func(*held) verdict) {
	var v verdict
	if p := w.guard.Catch(func() { v = walk(h) }, h.fields); p != nil {
		v = w.verdict(h, function.Outcome{}, p)
	}
	w.inflight.leaves(h)
	if p := w.guard.Catch(func() { w.settle(h, v) }, h.fields); p != nil {
		// A result with the panic may still go out; otherwise the delivery comes
		// again.
		w.guard.Catch(func() { w.settle(h, w.verdict(h, function.Outcome{}, p)) }, h.fields)
	}
}

// lookEvery is the mean interval at which a partition that one tenant fills is
// polled for other tenants. It is added to their wait, so it is short. On the
// side partition, where every tenant is over its budget, it is longer.
const (
	lookEvery     = 20 * time.Millisecond
	lookSideEvery = 200 * time.Millisecond
)

// jittered is a random duration between d/2 and 3d/2.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d) }
