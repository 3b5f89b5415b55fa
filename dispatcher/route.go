package dispatcher

import (
	"math"
	"sync/atomic"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// router chooses the emptier partition of a tenant's shard, and one that is away
// only where all of them are. It knows how deep the partitions were when it last
// looked, and what it has sent there since.
type router struct {
	depths []atomic.Int64
	away   func(partition int) bool
}

func newRouter(partitions int, away func(partition int) bool) *router {
	return &router{depths: make([]atomic.Int64, partitions), away: away}
}

func (r *router) choose(tenant string, shardSize int) int {
	shard := partition.Shard(tenant, len(r.depths), shardSize)
	p := partition.Emptier(shard, func(p int) int {
		if r.away(p) {
			return math.MaxInt
		}
		return int(r.depths[p].Load())
	})
	r.depths[p].Add(1)
	return p
}

// saw takes note of how deep a partition is.
func (r *router) saw(partition int, depth queue.Depth) {
	r.depths[partition].Store(int64(depth.Visible))
}
