package dispatcher

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// router chooses the emptier partition of a tenant's shard. It knows how deep
// the partitions were when it last looked, and what it has sent there since.
type router struct {
	partitions []queue.Queue
	shardSize  int
	depths     []atomic.Int64
}

func newRouter(partitions []queue.Queue, shardSize int) *router {
	return &router{partitions: partitions, shardSize: shardSize, depths: make([]atomic.Int64, len(partitions))}
}

func (r *router) choose(tenant string) int {
	shard := partition.Shard(tenant, len(r.partitions), r.shardSize)
	p := partition.Emptier(shard, func(p int) int { return int(r.depths[p].Load()) })
	r.depths[p].Add(1)
	return p
}

// watch looks at the depths until ctx ends. A partition that can't be looked at
// keeps the depth that it had.
func (r *router) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for p, q := range r.partitions {
			if depth, err := q.Depth(ctx); err == nil {
				r.depths[p].Store(int64(depth.Visible))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
