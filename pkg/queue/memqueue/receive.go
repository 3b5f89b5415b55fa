package memqueue

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Receive takes up to p.Max messages, and waits for the first up to p.Wait. A
// poll whose context ends has taken nothing. All deliveries of a message share its
// body, which must not be changed.
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

// take makes deliveries of what is visible. q.mu is held.
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

// deliver hides a picked message for the visibility and makes a delivery of it.
// q.mu is held.
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
	}
}

// bury moves a picked message to the dead-letter queue, which keeps its id, its
// attributes and when it was sent. At no moment is it on neither queue: both
// are locked, and in one order only, for a dead-letter queue is made before the
// queue that names it. q.mu is held.
func (q *Queue) bury(m *message, now time.Time) {
	dead := q.opts.DeadLetter
	dead.mu.Lock()
	defer dead.mu.Unlock()
	q.store.lift(m)
	m.count, m.first = 0, time.Time{}
	dead.put(m, now, 0)
	dead.settle(now)
}
