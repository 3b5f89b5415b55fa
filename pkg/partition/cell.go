package partition

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Cell returns the tenant's cell: the name with the highest score for it. A new
// cell gets an equal part of the tenants of each other cell, the tenants of a
// cell that is taken away are spread over the others, and no other tenant moves.
// The order of the names does not matter. Cell panics if there is no name.
func Cell(tenant string, cells []string) string {
	seed := sum(tenant)
	return slices.MaxFunc(cells, func(a, b string) int {
		return cmp.Or(cmp.Compare(mix(seed^mix(sum(a))), mix(seed^mix(sum(b)))), cmp.Compare(b, a))
	})
}

func sum(of string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(of))
	return h.Sum64()
}
