package lease_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
)

// Of two builders one gets the lease. The next grant has a greater fence.
func ExampleLeases() {
	ctx := context.Background()
	var leases lease.Leases = memlease.New()
	first, err := leases.Acquire(ctx, "script/abc", "worker-1", time.Minute)
	fmt.Println(first.Owner, err)

	_, err = leases.Acquire(ctx, "script/abc", "worker-2", time.Minute)
	var held *lease.HeldError
	fmt.Println(errors.As(err, &held), held.Owner)

	fmt.Println(leases.Release(ctx, first))
	second, err := leases.Acquire(ctx, "script/abc", "worker-2", time.Minute)
	fmt.Println(second.Fence > first.Fence, err)
	fmt.Println(errors.Is(leases.Renew(ctx, first, time.Minute), lease.ErrLost))
	// Output:
	// worker-1 <nil>
	// true worker-1
	// <nil>
	// true <nil>
	// true
}
