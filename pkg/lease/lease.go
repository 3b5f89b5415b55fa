// Package lease says what a lease is: for a time, one owner holds a key; every
// grant of a key carries a fence that is greater than that of every grant
// before it. redislease grants leases from Redis, memlease in memory; leasetest
// holds both to this contract.
//
// A lease saves work; it is never what correctness rests on. After a failover
// of Redis two owners may believe that they hold one key. What they write is
// guarded by the fence, and what they build is named by its content, so the
// worst is a build made twice.
//
// [Take] is how work is done under a lease: it returns a [Hold] that renews the
// lease, and that stops trusting it before it can have run out.
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLost is the cause with which a holder's work ends: the lease ran out, was
// taken by another owner, or could not be renewed in time.
var ErrLost = errors.New("lease: lost")

// HeldError says that another owner holds the key.
type HeldError struct {
	Key   string
	Owner string
	Left  time.Duration // until the lease runs out, if it is not renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s is held by %s for another %s", e.Key, e.Owner, e.Left)
}

// Lease is a grant.
type Lease struct {
	Key   string
	Owner string
	Fence int64 // greater than the fence of every grant of this key before
}

// Leases grants, renews and takes back leases.
type Leases interface {
	// Acquire grants key to owner for ttl, or fails with a *HeldError. An owner
	// is one attempt at one piece of work, so an owner that already holds the
	// key is held against it too.
	Acquire(ctx context.Context, key, owner string, ttl time.Duration) (Lease, error)
	// Renew makes the lease last ttl from now. One that ran out, or that Redis
	// forgot, is granted again with its fence, as long as nobody was granted the
	// key since. It fails with ErrLost where somebody was, and after Release.
	Renew(ctx context.Context, l Lease, ttl time.Duration) error
	// Release ends the lease; releasing one that is lost is no error.
	Release(ctx context.Context, l Lease) error
}
