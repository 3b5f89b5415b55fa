// Package ratelimit limits the rate of calls for which the whole fleet has one
// budget, such as the calls of Lambda's control plane. redisratelimit keeps one
// token bucket in Redis for all workers, memratelimit one in memory;
// ratelimittest holds both to this contract.
package ratelimit

import "context"

// Priority says which callers get tokens first: those of the least value.
type Priority int

const (
	Waited Priority = iota // builds that a run waits for
	Runner                 // builds of env runners, which spare later runs a wait
	Behind                 // builds of scripts whose runs are executed by an env runner
	Ahead                  // builds made ahead, and the sweep of idle functions

	// Priorities is the number of priorities.
	Priorities = iota
)

// Limiter is safe for concurrent use.
type Limiter interface {
	// Wait takes one token, and waits for it until ctx ends. While Redis is out
	// of reach it does not fail, but uses a bucket of this worker's own with a
	// share of the rate. Its only errors are those of ctx.
	Wait(ctx context.Context, p Priority) error
}
