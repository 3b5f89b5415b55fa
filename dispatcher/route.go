package dispatcher

import (
	"sync/atomic"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// router chooses the emptier partition of a tenant's shard. It knows how deep
// the partitions were when it last looked, and what it has sent there since.
type router struct {
	shardSize int
	depths    []atomic.Int64
}

func newRouter(partitions, shardSize int) *router {
	return &router{shardSize: shardSize, depths: make([]atomic.Int64, partitions)}
}

func (r *router) choose(tenant string) int {
	shard := partition.Shard(tenant, len(r.depths), r.shardSize)
	p := partition.Emptier(shard, func(p int) int { return int(r.depths[p].Load()) })
	r.depths[p].Add(1)
	return p
}

// saw takes note of how deep a partition is.
func (r *router) saw(partition int, depth queue.Depth) {
	r.depths[partition].Store(int64(depth.Visible))
}
