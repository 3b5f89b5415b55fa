package builds

import (
	"context"
	"errors"
	"time"
)

var errBuildTimeout = errors.New("build: took longer than a build may")

// bound ends a term that works for too long. The time stands still while the
// term waits for others: those have bounds of their own. It is for one
// goroutine.
type bound struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
	left   time.Duration
	since  time.Time
}

func withBound(parent context.Context, d time.Duration) (context.Context, *bound) {
	ctx, cancel := context.WithCancelCause(parent)
	b := &bound{cancel: cancel, left: d}
	b.timer = time.AfterFunc(d, func() { cancel(errBuildTimeout) })
	b.since = time.Now()
	return ctx, b
}

// pause stops the time until resume.
func (b *bound) pause() (resume func()) {
	if !b.timer.Stop() {
		return func() {}
	}
	b.left -= time.Since(b.since)
	return func() {
		b.since = time.Now()
		b.timer.Reset(max(b.left, time.Millisecond))
	}
}

func (b *bound) end() {
	b.timer.Stop()
	b.cancel(nil)
}
