package dispatcher

import (
	"math"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// router chooses a partition of a tenant's shard: the emptier one; one that is
// away only if all are away. A partition's depth is estimated as the depth when
// last read, plus what was sent there since. Depths are compared in batches, so
// that a tenant with little work stays on one partition, and runs that come
// together are sent together.
//
// While the load is low and no backlog is high, only the first partitions are in
// use, one for each perPartition runs a second: sends and receives are then
// batched, and there is nothing from which a shard would protect. A shard is
// then a tenant's shard of those. All workers read all partitions. If one that
// is in use fails or is slow, all are in use: that is the other thing from which
// a shard protects.
type router struct {
	routes

	mu     sync.Mutex
	depths []int
	use    int // partitions in use
	sent   int // since
	since  time.Time
}

// routes tells a router of the partitions.
type routes interface {
	high() bool               // whether backlogs are high
	away(partition int) bool  // whether it takes nothing now
	fails(partition int) bool // whether it is slow, or away, or has not answered since
}

const (
	// perPartition is how many runs a second keep a partition in use: with four
	// calls of 10 ms at a time it sends up to 4,000.
	perPartition = 2500
	// useFor is how long partitions stay in use.
	useFor = time.Second
)

func newRouter(partitions int, of routes) *router {
	return &router{routes: of, depths: make([]int, partitions), use: 1, since: time.Now()}
}

func (r *router) choose(tenant string, shardSize int) int {
	high := r.high()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.measure(high)
	p := r.emptier(partition.Shard(tenant, r.use, shardSize))
	r.depths[p]++
	return p
}

// measure decides how many partitions are in use. The caller holds mu.
func (r *router) measure(high bool) {
	r.sent++
	now := time.Now()
	passed := now.Sub(r.since)
	if passed >= useFor {
		rate := float64(r.sent) / passed.Seconds()
		r.use = min(len(r.depths), 1+int(rate/perPartition))
		r.sent, r.since = 0, now
	}
	for p := 0; p < r.use && !high; p++ {
		high = r.fails(p)
	}
	if high {
		r.use, r.sent, r.since = len(r.depths), 0, now
	}
}

// emptier is the emptier partition of a shard. The caller holds mu.
func (r *router) emptier(shard []int) int {
	return partition.Emptier(shard, func(p int) int {
		if r.away(p) {
			return math.MaxInt
		}
		return r.depths[p] / queue.MaxBatch
	})
}

// saw records a partition's depth.
func (r *router) saw(partition int, depth queue.Depth) {
	r.mu.Lock()
	r.depths[partition] = depth.Visible
	r.mu.Unlock()
}
