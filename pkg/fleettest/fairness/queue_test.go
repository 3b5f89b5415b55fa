package fairness

import (
	"context"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// callTakes is how much longer a call of SQS takes on AWS than here.
const callTakes = 10 * time.Millisecond

// distant is a queue with AWS's latency, and with mechanisms switched off.
type distant struct {
	inmemory.Distant
	ungrouped bool // fair delivery is off
	strangers bool // each delivery seems to belong to another tenant
}

// groupAttribute carries the tenant when SQS must not know the group.
const groupAttribute = "fairness.group"

var stranger atomic.Int64

func (q *distant) Send(ctx context.Context, ms []queue.Message) []error {
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
	return q.Distant.Send(ctx, ms)
}

func (q *distant) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := q.Distant.Receive(ctx, p)
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
