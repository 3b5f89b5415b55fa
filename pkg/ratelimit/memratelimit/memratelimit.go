// Package memratelimit limits the calls of one process by a token bucket in
// memory, for tests and simulations.
package memratelimit

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
)

// Limiter implements ratelimit.Limiter.
type Limiter struct{ bucket *ratelimit.Bucket }

// New returns a limiter with a new bucket.
func New(r ratelimit.Rate) *Limiter { return &Limiter{bucket: ratelimit.NewBucket(r)} }

// Wait implements ratelimit.Limiter.
func (l *Limiter) Wait(ctx context.Context, p ratelimit.Priority) error {
	ask := func() (ratelimit.Answer, error) { return l.bucket.Take(time.Now(), p), nil }
	return ratelimit.Pace(ctx, ask, l.bucket.Give)
}
