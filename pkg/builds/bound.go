package builds

import (
	"context"
	"errors"
	"time"
)

var errBuildTimeout = errors.New("build: took longer than the time for one build")

// bound cancels a term whose work takes longer than Config.BuildTimeout. The
// time between pause and resume does not count: the term then waits for its
// env's flight, which has a bound of its own. pause, resume and end are called
// by the flight's goroutine only.
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

// pause stops the count until resume is called.
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
