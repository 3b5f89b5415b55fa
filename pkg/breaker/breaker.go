// Package breaker pauses an intake while something is out of reach that
// everything taken in needs.
package breaker

import (
	"context"
	"sync"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	// longestSilence is longer than a call that fails takes: while calls are made
	// and fail, the next failure comes before it is over.
	longestSilence = 15 * time.Second
)

// Breaker is closed when made: the intake runs. A failure opens it for a time
// that doubles with each failure in a row, from 100 ms to 5 s; the first success
// closes it.
type Breaker struct {
	mu       sync.Mutex
	err      error
	until    time.Time
	failures int
}

// Open pauses the intake because of err. A breaker that is open already stays as
// it is: several places report the same fault. It tells whether this is the
// first failure since a success, and so worth a line in the log.
func (b *Breaker) Open(err error) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.until) {
		return false
	}
	first = b.err == nil
	pause := min(firstPause<<min(b.failures, 10), longestPause)
	b.failures++
	b.err, b.until = err, time.Now().Add(pause)
	return first
}

// Close lets the intake go on, and tells whether it was open.
func (b *Breaker) Close() (was bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was = b.err != nil
	b.err, b.until, b.failures = nil, time.Time{}, 0
	return was
}

// Paused tells whether the pause lasts.
func (b *Breaker) Paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.until)
}

// Wait returns once the pause is over, or with the error of ctx.
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

// Reason is the fault that the intake was last paused for, or nil once something
// has succeeded since. An intake that nothing comes to has neither successes nor
// failures: after longestSilence the fault is taken for over.
func (b *Breaker) Reason() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.until) > longestSilence {
		return nil
	}
	return b.err
}
