package queue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// A delivery is ours until its visibility runs out: delete it, or put it back.
func ExampleQueue() {
	ctx := context.Background()
	var q queue.Queue = memqueue.New("partition-0", memqueue.Options{})
	q.Send(ctx, []queue.Message{{Body: []byte("a run"), Group: "acme"}})

	poll := queue.Poll{Max: queue.MaxBatch, Visibility: time.Minute}
	ds, err := q.Receive(ctx, poll)
	fmt.Println(string(ds[0].Body), ds[0].Group, ds[0].ReceiveCount, err)
	q.Extend(ctx, ds, 0) // put back
	ds, err = q.Receive(ctx, poll)
	fmt.Println(ds[0].ReceiveCount, err)
	fmt.Println(q.Delete(ctx, ds)[0])
	// Output:
	// a run acme 1 <nil>
	// 2 <nil>
	// <nil>
}
