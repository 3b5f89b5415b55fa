// Package lease defines leases: one owner holds a key for a limited time. Each
// grant of a key has a fence, a number greater than the fence of every earlier
// grant of that key. redislease grants leases from Redis, memlease in memory;
// leasetest holds both to this contract.
//
// A lease saves work; correctness must not depend on it. After a failover of
// Redis two owners may both hold one key. Their writes are compared by fence,
// and the names of what they build are digests of its content, so the worst
// case is that something is built twice.
//
// To work under a lease, call [Take]. It returns a [Hold], which renews the
// lease and stops trusting it before it can have run out.
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLost is returned by Renew, and is the cause of the end of a Hold's
// context: the lease was released, was granted to another owner, or could not
// be renewed in time.
var ErrLost = errors.New("lease: lost")

// HeldError is returned by Acquire where an owner holds the key.
type HeldError struct {
	Key   string
	Owner string
	Left  time.Duration // until the lease runs out unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s is held by %s for another %s", e.Key, e.Owner, e.Left)
}

// Lease is a grant of a key to an owner.
type Lease struct {
	Key   string
	Owner string
	Fence int64 // greater than the fence of every grant of this key before

	// First tells that no earlier grant of the key is known. There may have been
	// one a day ago or longer, or one that Redis has lost. Only Acquire sets it.
	First bool
}

// Leases grants, renews and takes back leases.
type Leases interface {
	// Acquire grants key to owner for ttl, or fails with a *HeldError. An owner
	// names one attempt at one piece of work, so Acquire also fails for an
	// owner that holds the key already.
	Acquire(ctx context.Context, key, owner string, ttl time.Duration) (Lease, error)
	// Renew makes the lease last ttl from now. A lease that ran out, or that
	// Redis lost, is granted again with the same fence, unless the key was
	// granted to another owner since. In that case, and after Release, Renew
	// fails with ErrLost.
	Renew(ctx context.Context, l Lease, ttl time.Duration) error
	// Release ends the lease. Releasing a lost lease is no error.
	Release(ctx context.Context, l Lease) error
}
