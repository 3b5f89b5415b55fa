package simulation

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// visibility is the workers' visibility timeout. No put-back has this length,
// so an extension by it comes from a heartbeat.
const visibility = 24*time.Second + time.Millisecond

var errRefused = errors.New("the queue refuses the call")

// options are the options of a queue with the plan's faults.
func (f *fleet) options() memqueue.Options {
	r := f.plan.rates
	return memqueue.Options{Faults: memqueue.Faults{
		Call:       func(memqueue.Op, int) error { return f.fault(r.call) },
		Answer:     func(memqueue.Op) error { return f.fault(r.lostAnswer) },
		Entry:      func(memqueue.Op, int) error { return f.fault(r.entry) },
		Duplicate:  func(id string) bool { return f.roll(r.duplicate) && f.twin(id) },
		LoseDelete: func(d queue.Delivery) bool { return f.roll(r.loseDelete) },
	}}
}

func (f *fleet) resultOptions() memqueue.Options {
	o := f.options()
	call := o.Faults.Call
	o.Faults.Call = func(op memqueue.Op, n int) error {
		if op == memqueue.OpSend && !f.healthy() && among(f.plan.refusing, f.now()) {
			return errRefused
		}
		return call(op, n)
	}
	return o
}

func (f *fleet) fault(rate float64) error {
	if f.roll(rate) {
		return errRefused
	}
	return nil
}

// siteQueue is a queue for one site.
type siteQueue struct {
	queue.Queue
	s *site
}

// Receive returns nothing to a site that was killed meanwhile; the deliveries
// stay invisible.
func (q *siteQueue) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := through(ctx, q.s, "queue.Receive", func(ctx context.Context) ([]queue.Delivery, error) { return q.Queue.Receive(ctx, p) })
	for i := range ds {
		ds[i].ReceivedAt = time.Now() // by the site's clock, once it continues
		if q.s.f.off == atMostOnce {
			ds[i].Body = bytes.Replace(ds[i].Body, []byte("at-most-once"), []byte("at-least-once"), 1)
		}
		q.s.f.received(q.s, ds[i])
	}
	return ds, err
}

func (q *siteQueue) Send(ctx context.Context, ms []queue.Message) []error {
	switch q.s.f.off {
	case sendBeforeDelete: // swaps the order of the two
		go func() {
			_ = pass(context.Background(), time.Second)
			for q.each(context.Background(), "queue.Send", len(ms), func(ctx context.Context) []error { return q.Queue.Send(ctx, ms) })[0] != nil && !q.s.isDead() {
				_ = pass(context.Background(), time.Second)
			}
		}()
		return make([]error, len(ms))
	case sendsAnswer:
		q.each(ctx, "queue.Send", len(ms), func(ctx context.Context) []error { return q.Queue.Send(ctx, ms) })
		return make([]error, len(ms))
	}
	return q.each(ctx, "queue.Send", len(ms), func(ctx context.Context) []error { return q.Queue.Send(ctx, ms) })
}

func (q *siteQueue) Delete(ctx context.Context, ds []queue.Delivery) []error {
	return q.each(ctx, "queue.Delete", len(ds), func(ctx context.Context) []error {
		q.s.f.settled(ds)
		return q.Queue.Delete(ctx, ds)
	})
}

func (q *siteQueue) Extend(ctx context.Context, ds []queue.Delivery, d time.Duration) []error {
	if d == visibility && q.s.f.off == heartbeat {
		return make([]error, len(ds))
	}
	return q.each(ctx, "queue.Extend", len(ds), func(ctx context.Context) []error {
		if d != visibility {
			q.s.f.settled(ds)
		}
		return q.Queue.Extend(ctx, ds, d)
	})
}

func (q *siteQueue) each(ctx context.Context, op string, n int, do func(context.Context) []error) []error {
	errs, err := through(ctx, q.s, op, func(ctx context.Context) ([]error, error) { return do(ctx), nil })
	if err == nil {
		return errs
	}
	errs = make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
