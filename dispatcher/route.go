package dispatcher

import (
	"sync/atomic"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// router chooses the emptier partition of a tenant's shard. It knows how deep
// the partitions were when it last looked, and what it has sent there since.
type router struct {
	depths []atomic.Int64
}

func newRouter(partitions int) *router {
	return &router{depths: make([]atomic.Int64, partitions)}
}

func (r *router) choose(tenant string, shardSize int) int {
	shard := partition.Shard(tenant, len(r.depths), shardSize)
	p := partition.Emptier(shard, func(p int) int { return int(r.depths[p].Load()) })
	r.depths[p].Add(1)
	return p
}

// saw takes note of how deep a partition is.
func (r *router) saw(partition int, depth queue.Depth) {
	r.depths[partition].Store(int64(depth.Visible))
}
