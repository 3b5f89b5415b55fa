package look

import (
	"context"
	"fmt"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// QueueDepth is a queue of the fleet and its depth.
type QueueDepth struct {
	Name string
	queue.Depth
}

// readers bounds how many queues are asked at a time.
const readers = 16

// Queues returns the depths of all queues of the fleet: requests,
// partitions, side, results and the two for dead letters, in this order.
func Queues(ctx context.Context, fleet *wire.Fleet) ([]QueueDepth, error) {
	names := fleet.Names()
	all := append([]string{names.Requests}, names.Partitions...)
	all = append(all, names.Side, names.Results, names.PartitionDLQ, names.RequestsDLQ)
	depths := make([]QueueDepth, len(all))
	var asking panics.Group
	asking.SetLimit(readers)
	for i, name := range all {
		asking.Go(func() error {
			depth, err := fleet.Depth(ctx, name)
			if err != nil {
				return fmt.Errorf("read the depth of %s: %w", name, err)
			}
			depths[i] = QueueDepth{name, depth}
			return nil
		})
	}
	return depths, asking.Wait()
}
