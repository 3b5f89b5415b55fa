// Package slot caps how many runs a tenant has at work in the whole fleet. A
// slot is taken for one run, lasts a TTL, is renewed while the run works, and
// so expires with its holder. redisslot counts in Redis, memslot in memory;
// slottest holds both to this contract.
//
// Slots share work out; nothing's correctness rests on them. Where Redis forgot
// who has slots, or was away, a tenant may for a TTL have more runs at work than
// its cap, and never loses one: what was taken is granted again on Renew, and
// what is asked for is granted as if nobody had any.
//
// A scope that nobody has a slot of costs nothing: there may be 100,000 tenants.
package slot

import (
	"context"
	"errors"
	"strings"
	"time"
)

// ErrUnavailable is wrapped by every error that says that the slots are out of
// reach for now. Repeating the call is safe.
var ErrUnavailable = errors.New("slot: out of reach")

// Scope names what is capped by its parts: a tenant, or a tenant and a script.
// Different parts are different scopes, whatever characters they hold.
func Scope(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = escape.Replace(p)
	}
	return strings.Join(escaped, ":")
}

var escape = strings.NewReplacer("%", "%25", ":", "%3A")

// Ask asks for a slot of a tenant for a run.
type Ask struct {
	Scope string // what is capped, named by the function Scope
	Owner string // the run's holder; asking again with the same owner renews
	Cap   int    // slots that the scope has; none are granted for 0 or less
}

// Slots is safe for concurrent use.
type Slots interface {
	// Take answers for each ask, in order, whether a slot was granted for ttl.
	// An owner that has one already has it renewed, whatever the cap is by now.
	Take(ctx context.Context, asks []Ask, ttl time.Duration) ([]bool, error)
	// Renew makes the slots last ttl from now, whatever the cap is by now. One
	// that ran out, or that Redis forgot, is granted again.
	Renew(ctx context.Context, asks []Ask, ttl time.Duration) error
	// Give gives slots back; giving one that ran out is no error. A Renew that
	// overtakes it leaves the slot taken until the ttl is over.
	Give(ctx context.Context, asks []Ask) error
	// InUse tells how many slots of the scope are taken.
	InUse(ctx context.Context, scope string) (int, error)
}
