// Package partition assigns tenants to partitions. Each tenant has a shard of k
// of the n partitions. If a tenant floods its shard, only the few tenants with
// the same whole shard have no partition left beside it. The number of queues
// stays n, however many tenants there are.
//
// Shards come from rendezvous hashing: each partition has a score for the
// tenant, and the k highest are the shard. A new partition joins the shards of
// those tenants for which it has a high score; no other assignment changes. The
// score depends only on the tenant's name and the partition's number, so all
// dispatchers of all versions compute the same shard.
//
// In the same way [Cell] assigns tenants to cells: accounts or regions with a
// fleet each.
package partition

import "slices"

// Shard returns the tenant's k of n partitions, the highest score first. It
// returns all n if k is greater.
func Shard(tenant string, n, k int) []int {
	type scored struct {
		partition int
		score     uint64
	}
	seed := sum(tenant)
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

// Emptier returns the partition of the shard with the least depth. If several
// have the same, it is the first, so that a tenant with little work stays on
// one partition.
func Emptier(shard []int, depth func(partition int) int) int {
	best, least := shard[0], depth(shard[0])
	for _, p := range shard[1:] {
		if d := depth(p); d < least {
			best, least = p, d
		}
	}
	return best
}

// mix is the finaliser of splitmix64: similar inputs give unrelated outputs.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
