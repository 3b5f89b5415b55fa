package scale

import (
	"context"
	"time"
)

// grid is what the ends of all waits of the model are rounded up to. So what
// happens at about the same time happens at the same time, and uses all cores:
// virtual time advances only once everything that is due has come to rest.
const grid = time.Millisecond

// await waits for d, and until the next moment of the grid. It ends early with
// ctx, at the latest after a second.
func await(ctx context.Context, d time.Duration) {
	end := time.Now().Add(d + grid - 1).Truncate(grid)
	for ctx.Err() == nil {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, awaitAtMost)) // costs less than a timer and a select
	}
}

const awaitAtMost = time.Second
