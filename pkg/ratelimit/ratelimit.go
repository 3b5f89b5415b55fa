// Package ratelimit paces calls on which the whole fleet shares one budget, such as
// Lambda's control plane. redisratelimit keeps one token bucket in Redis for all
// workers, memratelimit one in memory; ratelimittest holds both to this contract.
package ratelimit

import "context"

// Priority says who goes first when tokens are scarce.
type Priority int

const (
	// Waited is for builds that a run waits for.
	Waited Priority = iota
	// Ahead is for builds made ahead, and sweeps; it leaves a reserve of tokens
	// to Waited.
	Ahead
)

// Limiter is safe for concurrent use.
type Limiter interface {
	// Wait takes one token, waiting for it as long as ctx lasts. When the
	// shared bucket is out of reach it paces by a local share of the rate
	// rather than fail: a helper's absence delays and never loses.
	Wait(ctx context.Context, p Priority) error
}
