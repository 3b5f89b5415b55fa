package builds_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
)

// The record of a later holder of the lease stands against an earlier one's.
func ExampleRecords() {
	ctx := context.Background()
	var records builds.Records = memrecords.New()
	fmt.Println(records.Put(ctx, "script/abc", builds.Record{ARN: "scriptfleet-acme-abc", Fence: 2}, 0))
	late := records.Put(ctx, "script/abc", builds.Record{ARN: "scriptfleet-acme-abc", Fence: 1}, 0)
	fmt.Println(errors.Is(late, builds.ErrStale))
	record, ok, err := records.Get(ctx, "script/abc")
	fmt.Println(record.ARN, record.Fence, ok, err)
	// Output:
	// <nil>
	// true
	// scriptfleet-acme-abc 2 true <nil>
}
