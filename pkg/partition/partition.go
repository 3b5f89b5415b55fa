// Package partition places tenants on partitions: each tenant has a shard of k
// of the n partitions, so that a tenant that floods reaches only the few others
// that share its whole shard, on a fixed number of queues however many tenants
// there are.
//
// Shards come from rendezvous hashing: every partition draws a score for the
// tenant, the k highest win. A partition that is added takes over only the
// tenants for which it wins; nothing else moves. The scores depend on nothing
// but the tenant's name and the partition's number, so every dispatcher, today
// and after an upgrade, computes the same shard.
package partition

import (
	"hash/fnv"
	"slices"
)

// Shard returns the k of n partitions that are tenant's, best score first. k is
// cut to n.
func Shard(tenant string, n, k int) []int {
	type scored struct {
		partition int
		score     uint64
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(tenant))
	seed := h.Sum64()

	all := make([]scored, n)
	for p := range all {
		all[p] = scored{p, mix(seed ^ mix(uint64(p)+1))}
	}
	slices.SortFunc(all, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return a.partition - b.partition
	})
	shard := make([]int, min(k, n))
	for i := range shard {
		shard[i] = all[i].partition
	}
	return shard
}

// Emptier returns the partition of the shard that holds the least, the first
// of those that tie, so that a tenant stays on one partition while there is no
// reason to leave it.
func Emptier(shard []int, depth func(partition int) int) int {
	best, least := shard[0], depth(shard[0])
	for _, p := range shard[1:] {
		if d := depth(p); d < least {
			best, least = p, d
		}
	}
	return best
}

// mix is the finaliser of splitmix64: it turns related numbers into unrelated
// ones.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
