// Package breaker pauses an intake while a service is out of reach that every
// request or delivery needs.
package breaker

import (
	"context"
	"sync"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	// longestSilence is longer than a failing call takes, so that while calls
	// are made and fail, the next failure comes before it is over.
	longestSilence = 15 * time.Second
)

// Breaker is closed at first: the intake runs. A failure opens it for 100 ms,
// which pauses the intake. Each further failure in a row doubles that time, to
// 5 s at most. A success closes it. The zero Breaker is ready, and safe for
// concurrent use.
type Breaker struct {
	mu       sync.Mutex
	err      error
	until    time.Time
	failures int
}

// Open pauses the intake because of err. It does nothing during a pause, since
// several calls may report the same fault.
func (b *Breaker) Open(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.until) {
		return
	}
	pause := min(firstPause<<min(b.failures, 10), longestPause)
	b.failures++
	b.err, b.until = err, time.Now().Add(pause)
}

// Close lets the intake go on, after a success.
func (b *Breaker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.until, b.failures = nil, time.Time{}, 0
}

// Paused tells whether the intake is paused now.
func (b *Breaker) Paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.until)
}

// Wait waits for the end of the pause. It returns the error of ctx if ctx has
// ended.
func (b *Breaker) Wait(ctx context.Context) error {
	b.mu.Lock()
	pause := time.Until(b.until)
	b.mu.Unlock()
	if pause > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return ctx.Err()
}

// Reason returns the error of the last failure, or nil after a success. It also
// returns nil once 15 s have passed since the end of the last pause without
// another failure: an idle intake makes no calls that could succeed.
func (b *Breaker) Reason() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.until) > longestSilence {
		return nil
	}
	return b.err
}
