package fairness

import (
	"context"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// callTakes is how much longer a call of SQS takes on AWS than here.
const callTakes = 10 * time.Millisecond

// distant is a queue with AWS's latency, and with mechanisms switched off.
type distant struct {
	queue.Queue
	ungrouped bool // fair delivery is off
	strangers bool // each delivery seems to belong to another tenant
	calls     *atomic.Int64
}

// groupAttribute carries the tenant when SQS must not know the group.
const groupAttribute = "fairness.group"

var stranger atomic.Int64

func (q *distant) Send(ctx context.Context, ms []queue.Message) []error {
	q.call(ctx)
	if q.ungrouped {
		ms = append([]queue.Message(nil), ms...)
		for i, m := range ms {
			ms[i].Attributes = maps.Clone(m.Attributes)
			if ms[i].Attributes == nil {
				ms[i].Attributes = map[string]string{}
			}
			ms[i].Attributes[groupAttribute], ms[i].Group = m.Group, ""
		}
	}
	return q.Queue.Send(ctx, ms)
}

func (q *distant) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := q.Queue.Receive(ctx, p)
	if len(ds) > 0 {
		q.call(context.WithoutCancel(ctx))
	}
	for i := range ds {
		if q.ungrouped {
			ds[i].Group = ds[i].Attributes[groupAttribute]
		}
		if q.strangers {
			ds[i].Group = "stranger-" + strconv.FormatInt(stranger.Add(1), 10)
		}
	}
	return ds, err
}

func (q *distant) Delete(ctx context.Context, ds []queue.Delivery) []error {
	q.call(ctx)
	return q.Queue.Delete(ctx, ds)
}

func (q *distant) Extend(ctx context.Context, ds []queue.Delivery, visibility time.Duration) []error {
	q.call(ctx)
	return q.Queue.Extend(ctx, ds, visibility)
}

// received counts the deliveries of a queue.
type received struct {
	queue.Queue
	n *atomic.Int64
}

func (q *received) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := q.Queue.Receive(ctx, p)
	q.n.Add(int64(len(ds)))
	return ds, err
}

// call waits for the latency of one call.
func (q *distant) call(ctx context.Context) {
	q.calls.Add(1)
	await(ctx, callTakes)
}

// await waits for d, or until ctx ends.
func await(ctx context.Context, d time.Duration) {
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
