package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ends notes when each run of a peer has ended.
type ends struct {
	mu   sync.Mutex
	at   map[int]time.Time
	want int
	done chan struct{} // closed once all have ended
}

// expect starts anew, for that many runs.
func (e *ends) expect(runs int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at, e.want, e.done = map[int]time.Time{}, runs, make(chan struct{})
}

func (e *ends) note(n int) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, again := e.at[n]; again {
		return
	}
	e.at[n] = now
	if len(e.at) == e.want {
		close(e.done)
	}
}

// wait returns when the last has ended.
func (e *ends) wait(ctx context.Context) (last time.Time, err error) {
	select {
	case <-e.done:
	case <-ctx.Done():
		e.mu.Lock()
		defer e.mu.Unlock()
		return last, fmt.Errorf("%d of %d runs have ended: %w", len(e.at), e.want, ctx.Err())
	}
	for _, at := range e.at {
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}

// paced sends runs at a rate, and returns each one's time to its end.
func (e *ends) paced(ctx context.Context, runs, rate int, send func(ctx context.Context, n int) error) ([]time.Duration, error) {
	e.expect(runs)
	sent := make([]time.Time, runs)
	due := time.Now()
	for n := range runs {
		due = due.Add(time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		sent[n] = time.Now()
		if err := send(ctx, n); err != nil {
			return nil, err
		}
	}
	if _, err := e.wait(ctx); err != nil {
		return nil, err
	}
	delays := make([]time.Duration, runs)
	for n := range runs {
		delays[n] = e.at[n].Sub(sent[n])
	}
	return delays, nil
}

// crowd sends runs with so many senders, and returns the time from the first
// enqueue to the last end.
func (e *ends) crowd(ctx context.Context, runs, senders int, send func(ctx context.Context, n int) error) (time.Duration, error) {
	e.expect(runs)
	next, failed := make(chan int, runs), make(chan error, senders)
	for n := range runs {
		next <- n
	}
	close(next)
	began := time.Now()
	for range senders {
		go func() {
			for n := range next {
				if err := send(ctx, n); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range senders {
		if err := <-failed; err != nil {
			return 0, err
		}
	}
	last, err := e.wait(ctx)
	return last.Sub(began), err
}
