// Package ratelimit limits the rate of calls for which the whole fleet has one
// budget, such as the calls of Lambda's control plane. redisratelimit keeps one
// token bucket in Redis for all workers, memratelimit one in memory;
// ratelimittest holds both to this contract.
package ratelimit

import "context"

// Priority says which callers get tokens first.
type Priority int

const (
	// Waited is for builds that a run waits for.
	Waited Priority = iota
	// Ahead is for builds made ahead and for the sweep of idle functions. It
	// leaves Rate.Reserve tokens to Waited.
	Ahead
)

// Limiter is safe for concurrent use.
type Limiter interface {
	// Wait takes one token, and waits for it until ctx ends. While Redis is out
	// of reach it does not fail, but uses a bucket of this worker's own with a
	// share of the rate. Its only errors are those of ctx.
	Wait(ctx context.Context, p Priority) error
}
