package dispatcher

import (
	"math"
	"sync/atomic"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// router chooses the emptier partition of a tenant's shard; one that is away
// only if all are away. A partition's depth is estimated as the depth when last
// read, plus what was sent there since.
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

// saw records a partition's depth.
func (r *router) saw(partition int, depth queue.Depth) {
	r.depths[partition].Store(int64(depth.Visible))
}
