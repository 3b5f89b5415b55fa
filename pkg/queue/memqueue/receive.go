package memqueue

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Receive takes up to p.Max messages, and waits up to p.Wait for the first. If
// ctx ends while it waits, it has taken none. All deliveries of a message share
// its body, which the caller must not change.
func (q *Queue) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	if p.Max < 1 || p.Max > queue.MaxBatch || p.Wait < 0 || p.Wait > queue.MaxWait ||
		p.Visibility < 0 || p.Visibility > queue.MaxVisibility {
		return nil, fmt.Errorf("receive from %s: %+v is out of range", q.name, p)
	}
	if err := q.opts.Faults.call(ctx, OpReceive, p.Max); err != nil {
		return nil, err
	}
	ds, err := q.poll(ctx, p)
	if err == nil {
		err = q.opts.Faults.answer(OpReceive)
	}
	if err != nil {
		return nil, err
	}
	return ds, nil
}

func (q *Queue) poll(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	q.mu.Lock()
	ds := q.take(p)
	if len(ds) > 0 || p.Wait == 0 {
		q.mu.Unlock()
		return ds, nil
	}
	woken := q.polls.join()
	q.arm(time.Now())
	q.mu.Unlock()

	over := time.NewTimer(p.Wait)
	defer over.Stop()
	for {
		var err error
		var ended bool
		select {
		case <-woken:
		case <-over.C:
			ended = true
		case <-ctx.Done():
			ended, err = true, context.Cause(ctx)
		}
		q.mu.Lock()
		if err == nil {
			ds = q.take(p)
		}
		if ended || len(ds) > 0 {
			q.polls.leave(woken)
			q.settle(time.Now())
			q.mu.Unlock()
			return ds, err
		}
		q.polls.rejoin(woken)
		q.settle(time.Now())
		q.mu.Unlock()
	}
}

// take makes deliveries of visible messages. q.mu is held.
func (q *Queue) take(p queue.Poll) []queue.Delivery {
	now := time.Now()
	q.store.bringBack(now)
	var ds []queue.Delivery
	for len(ds) < p.Max && q.store.depth.InFlight < q.opts.MaxInFlight {
		m := q.store.pick()
		if m == nil {
			break
		}
		if q.opts.DeadLetter != nil && m.count >= q.opts.MaxReceiveCount {
			q.bury(m, now)
			continue
		}
		ds = append(ds, q.deliver(m, now, p.Visibility))
	}
	q.arm(now)
	return ds
}

// deliver hides a message that pick chose, and makes a delivery of it. q.mu is
// held.
func (q *Queue) deliver(m *message, now time.Time, visibility time.Duration) queue.Delivery {
	if q.opts.Faults.duplicates(m.id) {
		twin := *m
		twin.state = nowhere
		q.store.show(&twin)
	}
	m.count++
	m.received = now
	if m.first.IsZero() {
		m.first = now
	}
	q.store.hide(m, inFlight, now.Add(visibility))
	m.handle = q.next("d")
	q.store.handles[m.handle] = m
	return queue.Delivery{
		MessageID:    m.id,
		Handle:       m.handle,
		Body:         m.body,
		Group:        m.group,
		Attributes:   maps.Clone(m.attrs),
		ReceiveCount: m.count,
		SentAt:       m.sent,
		FirstAt:      m.first,
		ReceivedAt:   now,
		TraceHeader:  m.trace,
	}
}

// bury moves a message that pick chose to the dead-letter queue, where it keeps
// its id, attributes and time of sending. Both queues are locked meanwhile, so
// the message is always on one of them. The lock order is safe: a queue names
// its dead-letter queue, which was made before it, and never the other way
// round. q.mu is held.
func (q *Queue) bury(m *message, now time.Time) {
	dead := q.opts.DeadLetter
	dead.mu.Lock()
	defer dead.mu.Unlock()
	q.store.lift(m)
	m.count, m.first = 0, time.Time{}
	dead.put(m, now, 0)
	dead.settle(now)
}
