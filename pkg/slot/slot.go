// Package slot caps how many runs of a tenant are at work in the whole fleet. A
// worker takes a slot for a run and renews it while the run works. A slot lasts
// for a TTL, so it expires if its worker dies. redisslot counts slots in Redis,
// memslot in memory; slottest holds both to this contract.
//
// Correctness does not depend on slots. If Redis loses them, a tenant may have
// more runs at work than its cap, for a TTL at most: Take grants slots as if
// none were taken, and Renew grants the slots of the runs at work again. No run
// is lost.
//
// A scope without a taken slot uses no memory, so there may be 100,000 tenants.
package slot

import (
	"context"
	"errors"
	"strings"
	"time"
)

// ErrUnavailable is wrapped by the errors of calls that could not reach the
// slots. The call may have taken effect, and may be repeated.
var ErrUnavailable = errors.New("slot: out of reach")

// Scope makes the name of a scope, which has one cap, from its parts: a tenant,
// or a tenant and a script. It escapes the parts, so that different parts never
// make the same name.
func Scope(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = escape.Replace(p)
	}
	return strings.Join(escaped, ":")
}

var escape = strings.NewReplacer("%", "%25", ":", "%3A")

// Ask is a request for a slot for a run.
type Ask struct {
	Scope string // from the function Scope
	Owner string // of the slot; a second Take by the same owner renews it
	Cap   int    // how many slots the scope has; Take grants none for 0 or less
}

// Slots is safe for concurrent use.
type Slots interface {
	// Take tells for each ask, in order, whether a slot was granted for ttl.
	// For an owner that has a slot it renews it, even if the scope is over its
	// cap.
	Take(ctx context.Context, asks []Ask, ttl time.Duration) ([]bool, error)
	// Renew makes the slots last ttl from now, without regard to Cap. A slot
	// that ran out, or that Redis lost, is granted again.
	Renew(ctx context.Context, asks []Ask, ttl time.Duration) error
	// Give gives slots back. Giving a slot that ran out is no error. A Renew
	// that arrives after it grants the slot again, for its ttl.
	Give(ctx context.Context, asks []Ask) error
	// InUse returns how many slots of each scope are taken, in order.
	InUse(ctx context.Context, scopes []string) ([]int, error)
}
