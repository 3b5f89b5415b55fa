// Package gate pauses an intake while something that everything taken in needs
// is out of reach.
package gate

import (
	"context"
	"sync"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// Gate is open when made. It stays shut for a time that doubles with each
// failure in a row, from 100 ms to 5 s, and opens with the first success.
type Gate struct {
	mu       sync.Mutex
	err      error
	until    time.Time
	failures int
}

// Shut pauses the intake because of err. While it is shut already, nothing
// changes: that is the same fault, seen from several places.
func (g *Gate) Shut(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().Before(g.until) {
		return
	}
	pause := min(firstPause<<min(g.failures, 10), longestPause)
	g.failures++
	g.err, g.until = err, time.Now().Add(pause)
}

// Open lets the intake go on.
func (g *Gate) Open() {
	g.mu.Lock()
	g.err, g.until, g.failures = nil, time.Time{}, 0
	g.mu.Unlock()
}

// Wait returns once the pause is over, or with the error of ctx.
func (g *Gate) Wait(ctx context.Context) error {
	g.mu.Lock()
	pause := time.Until(g.until)
	g.mu.Unlock()
	if pause > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return ctx.Err()
}

// Reason is the fault that the intake was last paused for, or nil once
// something has succeeded since.
func (g *Gate) Reason() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
