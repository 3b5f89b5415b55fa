package partition

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestShardIsKDistinctPartitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tenant := rapid.String().Draw(t, "tenant")
		n := rapid.IntRange(1, 64).Draw(t, "n")
		k := rapid.IntRange(1, 8).Draw(t, "k")
		shard := Shard(tenant, n, k)
		if len(shard) != min(n, k) {
			t.Fatalf("%d partitions, want %d", len(shard), min(n, k))
		}
		seen := map[int]bool{}
		for _, p := range shard {
			if p < 0 || p >= n || seen[p] {
				t.Fatalf("shard %v of %d partitions", shard, n)
			}
			seen[p] = true
		}
	})
}

func TestAnAddedPartitionMovesOnlyTheTenantsThatItWins(t *testing.T) {
	const n, k, tenants = 8, 2, 2000
	moved := 0
	for i := range tenants {
		before, after := Shard(fmt.Sprint("tenant-", i), n, k), Shard(fmt.Sprint("tenant-", i), n+1, k)
		if slices.Equal(before, after) {
			continue
		}
		moved++
		if !slices.Contains(after, n) {
			t.Fatalf("tenant-%d moved from %v to %v, which does not hold the new partition %d", i, before, after, n)
		}
		for _, p := range after {
			if p != n && !slices.Contains(before, p) {
				t.Fatalf("tenant-%d moved from %v to the old partition %d", i, before, p)
			}
		}
	}
	if want := tenants * k / (n + 1); moved < want*8/10 || moved > want*12/10 {
		t.Fatalf("%d of %d tenants moved, want about %d", moved, tenants, want)
	}
}

func TestShardsSpreadTenantsEvenly(t *testing.T) {
	const n, k, tenants = 8, 2, 20000
	counts := make([]int, n)
	for i := range tenants {
		for _, p := range Shard(fmt.Sprint("t", i), n, k) {
			counts[p]++
		}
	}
	for p, c := range counts {
		if mean := tenants * k / n; c < mean*9/10 || c > mean*11/10 {
			t.Fatalf("partition %d has %d tenants, the mean is %d", p, c, mean)
		}
	}
}

func TestShardsStayTheSameAcrossReleases(t *testing.T) {
	for tenant, want := range map[string][]int{"acme": {3, 2}, "globex": {1, 2}, "initech": {3, 0}} {
		if got := Shard(tenant, 8, 2); !slices.Equal(got, want) {
			t.Errorf("Shard(%q, 8, 2) = %v, want %v: runs of a tenant would move to other queues", tenant, got, want)
		}
	}
}

func TestEmptierPrefersTheLeastDepthAndThenTheFirst(t *testing.T) {
	depth := map[int]int{4: 7, 2: 3, 9: 3}
	if got := Emptier([]int{4, 2, 9}, func(p int) int { return depth[p] }); got != 2 {
		t.Fatalf("got %d, want 2", got)
	}
}

func BenchmarkShard(b *testing.B) {
	for b.Loop() {
		Shard("a-tenant-of-usual-length", 16, 2)
	}
}
