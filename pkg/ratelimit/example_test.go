package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
)

// The bucket's one token is its reserve: only a build that a run waits for gets
// it.
func ExampleLimiter() {
	var limiter ratelimit.Limiter = memratelimit.New(ratelimit.Rate{PerSecond: 0.001, Burst: 2, Reserve: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	fmt.Println(errors.Is(limiter.Wait(ctx, ratelimit.Ahead), context.DeadlineExceeded))
	fmt.Println(limiter.Wait(context.Background(), ratelimit.Waited))
	// Output:
	// true
	// <nil>
}
