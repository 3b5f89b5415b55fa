package scale

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

const sqsTakes = 10 * time.Millisecond

// sqs makes queues that are as far away as SQS, and counts the requests.
type sqs struct {
	all   []*memqueue.Queue
	calls atomic.Int64
	bytes atomic.Int64 // of bodies sent and received
}

// queue returns a new queue. The stories use it from outside, without counting.
func (s *sqs) queue(name string) *memqueue.Queue {
	q := memqueue.New(name, memqueue.Options{})
	s.all = append(s.all, q)
	return q
}

// distant is the queue as the fleet reaches it.
func (s *sqs) distant(q queue.Queue) queue.Queue {
	return &weighed{inmemory.Distant{Queue: q, Takes: sqsTakes, Called: func() { s.calls.Add(1) }, Await: await}, s}
}

// weighed adds up the bodies that pass.
type weighed struct {
	inmemory.Distant
	of *sqs
}

func (q *weighed) Send(ctx context.Context, ms []queue.Message) []error {
	for _, m := range ms {
		q.of.bytes.Add(int64(len(m.Body)))
	}
	return q.Distant.Send(ctx, ms)
}

func (q *weighed) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := q.Distant.Receive(ctx, p)
	for _, d := range ds {
		q.of.bytes.Add(int64(len(d.Body)))
	}
	return ds, err
}

// depths are the visible messages of all queues, and the most in flight of any.
func (s *sqs) depths() (visible, inFlight int) {
	for _, q := range s.all {
		if d, err := q.Depth(context.Background()); err == nil {
			visible += d.Visible
			inFlight = max(inFlight, d.InFlight)
		}
	}
	return visible, inFlight
}
