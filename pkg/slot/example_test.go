package slot_test

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
)

// With a cap of two, the third run of a tenant gets a slot when another is
// given back.
func ExampleSlots() {
	ctx := context.Background()
	var slots slot.Slots = memslot.New()
	ask := func(owner string) []slot.Ask {
		return []slot.Ask{{Scope: slot.Scope("tenant", "acme"), Owner: owner, Cap: 2}}
	}
	for _, owner := range []string{"run-1", "run-2", "run-3"} {
		granted, err := slots.Take(ctx, ask(owner), time.Minute)
		fmt.Println(owner, granted[0], err)
	}
	fmt.Println(slots.Give(ctx, ask("run-1")))
	granted, err := slots.Take(ctx, ask("run-3"), time.Minute)
	fmt.Println("run-3", granted[0], err)
	// Output:
	// run-1 true <nil>
	// run-2 true <nil>
	// run-3 false <nil>
	// <nil>
	// run-3 true <nil>
}
