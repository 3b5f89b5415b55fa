// Package memlimit paces the calls of one process, for tests and for a fleet of
// one worker.
package memlimit

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/limit"
)

// Limiter implements limit.Limiter.
type Limiter struct{ bucket *limit.Bucket }

// New returns a limiter of its own bucket.
func New(r limit.Rate) *Limiter { return &Limiter{bucket: limit.NewBucket(r)} }

// Wait implements limit.Limiter.
func (l *Limiter) Wait(ctx context.Context, p limit.Priority) error {
	ask := func() (limit.Answer, error) { return l.bucket.Take(time.Now(), p), nil }
	return limit.Pace(ctx, ask, l.bucket.Give)
}
