package inmemory

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Distant is a queue whose calls take as long as those of a queue far away. A
// poll that brings nothing takes no longer than it waits.
type Distant struct {
	queue.Queue
	Takes  time.Duration                        // of one call
	Called func()                               // counts a call
	Await  func(context.Context, time.Duration) // waits for Takes; nil: the package's Await
}

func (q *Distant) call(ctx context.Context) {
	q.Called()
	q.await(ctx)
}

func (q *Distant) await(ctx context.Context) {
	if q.Await != nil {
		q.Await(ctx, q.Takes)
		return
	}
	Await(ctx, q.Takes)
}

// Send, as queue.Queue has it.
func (q *Distant) Send(ctx context.Context, ms []queue.Message) []error {
	q.call(ctx)
	return q.Queue.Send(ctx, ms)
}

// Receive, as queue.Queue has it.
func (q *Distant) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := q.Queue.Receive(ctx, p)
	q.Called()
	if len(ds) > 0 {
		q.await(context.WithoutCancel(ctx))
	}
	return ds, err
}

// Delete, as queue.Queue has it.
func (q *Distant) Delete(ctx context.Context, ds []queue.Delivery) []error {
	q.call(ctx)
	return q.Queue.Delete(ctx, ds)
}

// Extend, as queue.Queue has it.
func (q *Distant) Extend(ctx context.Context, ds []queue.Delivery, visibility time.Duration) []error {
	q.call(ctx)
	return q.Queue.Extend(ctx, ds, visibility)
}

// Await waits for d, or until ctx ends.
func Await(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
