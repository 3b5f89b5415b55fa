// Package memqueue is a queue in memory that behaves like a standard SQS queue:
// visibility, delay, receive counts, redrive, long polls, and quiet groups
// served before busy ones. Simulations run the whole fleet on it, and make it
// fail through [Faults].
//
// It uses the clock of package time, so it follows the fake clock of
// testing/synctest; make the queue in the bubble that uses it. It has no
// goroutine of its own: each operation first makes visible what is due, and a
// timer runs only while a poll waits.
//
// Where SQS may do one of two things, memqueue does the stricter one: it
// refuses an old handle always, also for a Delete, and it never delivers a
// message twice within its visibility, unless a fault makes it.
package memqueue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Options of a queue. The zero value is a queue without redrive and faults.
type Options struct {
	// MaxReceiveCount is how many times a message is delivered; its next
	// receive moves it to DeadLetter. A nil DeadLetter means no redrive.
	MaxReceiveCount int
	DeadLetter      *Queue

	// MaxInFlight is how many messages may be in flight. At the limit a poll
	// returns no message and no error, like SQS. 0 means 120,000.
	MaxInFlight int

	// MaxBytes is the size of the largest message; 0 means
	// queue.MaxMessageBytes.
	MaxBytes int

	Faults Faults
}

// Queue is a queue.Queue in memory.
type Queue struct {
	name string
	opts Options

	mu     sync.Mutex
	store  store
	polls  polls
	serial uint64 // number of the last message or delivery
}

var _ queue.Queue = (*Queue)(nil)

// New returns an empty queue.
func New(name string, o Options) *Queue {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 120_000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = queue.MaxMessageBytes
	}
	return &Queue{name: name, opts: o, store: newStore()}
}

// Name returns the name that New was given.
func (q *Queue) Name() string { return q.name }

// MaxBytes returns Options.MaxBytes.
func (q *Queue) MaxBytes() int { return q.opts.MaxBytes }

// Send puts messages on the queue. The caller must not change their bodies
// afterwards.
func (q *Queue) Send(ctx context.Context, ms []queue.Message) []error {
	return q.each(ctx, OpSend, len(ms), func(i int, now time.Time) error {
		if err := ms[i].Validate(q.opts.MaxBytes); err != nil {
			return err
		}
		q.put(&message{
			id:    q.next("m"),
			body:  ms[i].Body,
			attrs: maps.Clone(ms[i].Attributes),
			group: ms[i].Group,
			trace: ms[i].TraceHeader,
			sent:  now,
		}, now, ms[i].Delay)
		return nil
	})
}

// Delete deletes the messages of the deliveries.
func (q *Queue) Delete(ctx context.Context, ds []queue.Delivery) []error {
	return q.each(ctx, OpDelete, len(ds), func(i int, _ time.Time) error {
		m, err := q.held(ds[i])
		if err != nil {
			return err
		}
		if !q.opts.Faults.losesDelete(ds[i]) {
			q.store.lift(m)
		}
		return nil
	})
}

// Extend makes the deliveries ours for visibility from now on.
func (q *Queue) Extend(ctx context.Context, ds []queue.Delivery, visibility time.Duration) []error {
	return q.each(ctx, OpExtend, len(ds), func(i int, now time.Time) error {
		m, err := q.held(ds[i])
		if err != nil {
			return err
		}
		if visibility < 0 || now.Add(visibility).Sub(m.received) > queue.MaxVisibility {
			return fmt.Errorf("extend %s by %s: at most %s from its receive", m.id, visibility, queue.MaxVisibility)
		}
		if visibility == 0 {
			q.store.show(m)
			return nil
		}
		q.store.hide(m, inFlight, now.Add(visibility))
		return nil
	})
}

// Depth counts the messages, exactly.
func (q *Queue) Depth(ctx context.Context) (queue.Depth, error) {
	if err := q.opts.Faults.call(ctx, OpDepth, 1); err != nil {
		return queue.Depth{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settle(time.Now())
	return q.store.depth, nil
}

// each does one operation on n entries, under the lock, with the faults of the
// options.
func (q *Queue) each(ctx context.Context, op Op, n int, do func(i int, now time.Time) error) []error {
	errs := make([]error, n)
	if n == 0 {
		return errs
	}
	if err := q.opts.Faults.call(ctx, op, n); err != nil {
		return slices.Repeat([]error{err}, n)
	}
	q.mu.Lock()
	now := time.Now()
	q.store.bringBack(now)
	for i := range n {
		if errs[i] = q.opts.Faults.entry(op, i); errs[i] == nil {
			errs[i] = do(i, now)
		}
	}
	q.settle(now)
	q.mu.Unlock()
	if err := q.opts.Faults.answer(op); err != nil {
		return slices.Repeat([]error{err}, n)
	}
	return errs
}

// put adds a message, visible at once or after a delay. q.mu is held.
func (q *Queue) put(m *message, now time.Time, delay time.Duration) {
	if delay > 0 {
		q.store.hide(m, delayed, now.Add(delay))
		return
	}
	q.store.show(m)
}

// held returns the message of a delivery that is still ours, else ErrGone. q.mu
// is held.
func (q *Queue) held(d queue.Delivery) (*message, error) {
	m := q.store.handles[d.Handle]
	if m == nil {
		return nil, fmt.Errorf("%w: %s on %s", queue.ErrGone, d.MessageID, q.name)
	}
	return m, nil
}

// settle makes visible what is due, and wakes a poll for each visible message.
// q.mu is held.
func (q *Queue) settle(now time.Time) {
	q.store.bringBack(now)
	q.polls.wake(min(q.store.depth.Visible, q.opts.MaxInFlight-q.store.depth.InFlight))
	q.arm(now)
}

// next returns a new id. q.mu is held.
func (q *Queue) next(prefix string) string {
	q.serial++
	return q.name + "/" + prefix + strconv.FormatUint(q.serial, 10)
}
