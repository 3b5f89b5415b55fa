// Package slot caps how many runs a tenant has at work in the whole fleet. A
// slot is taken for one run, lasts a TTL, is renewed while the run works, and
// so expires with its holder. redisslot counts in Redis, memslot in memory;
// slottest holds both to this contract.
package slot

import (
	"context"
	"time"
)

// Ask asks for a slot of a tenant for a run.
type Ask struct {
	Scope string // what is capped: a tenant, or a tenant's script
	Owner string // the run's holder; asking again with the same owner renews
	Cap   int    // slots that the scope has
}

// Slots is safe for concurrent use.
type Slots interface {
	// Take answers for each ask whether a slot was granted for ttl.
	Take(ctx context.Context, asks []Ask, ttl time.Duration) ([]bool, error)
	// Renew makes the slots last ttl from now, whatever the cap is by now. One
	// that ran out, or that Redis forgot, is granted again.
	Renew(ctx context.Context, asks []Ask, ttl time.Duration) error
	// Give gives slots back; giving one that ran out is no error.
	Give(ctx context.Context, asks []Ask) error
	// InUse tells how many slots of the scope are taken.
	InUse(ctx context.Context, scope string) (int, error)
}
