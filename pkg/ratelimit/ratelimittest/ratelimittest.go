// Package ratelimittest holds implementations of ratelimit.Limiter to their
// contract.
package ratelimittest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
)

// New makes a limiter with a new bucket.
type New func(t *testing.T, r ratelimit.Rate) ratelimit.Limiter

// Run runs the contract. It calls run for each of its tests; run calls test
// with a New, inside a synctest bubble if the implementation is in memory.
func Run(t *testing.T, run func(t *testing.T, test func(*testing.T, New))) {
	for name, test := range map[string]func(*testing.T, New){
		"NoMoreTokensThanTheRateAllows":       neverFaster,
		"AheadGoesWhenNoOtherCallerWaits":     aheadGoes,
		"WaitEndsWithItsContext":              endsWithContext,
		"ThoseWhoLeaveGiveTheirPlaceToOthers": leaversGiveBack,
	} {
		t.Run(name, func(t *testing.T) { run(t, test) })
	}
}

// RunOrder runs the part of the contract about the order of the callers. It needs
// a synctest bubble: on a busy machine callers come too late for their turn. An
// implementation that runs elsewhere is compared with one that runs in a bubble.
func RunOrder(t *testing.T, run func(t *testing.T, test func(*testing.T, New))) {
	t.Run("AllWhoWaitedGoBeforeThoseAhead", func(t *testing.T) { run(t, waitedFirst) })
	t.Run("EachPriorityGoesBeforeTheNext", func(t *testing.T) { run(t, inOrder) })
}

func neverFaster(t *testing.T, make New) {
	l := make(t, ratelimit.Rate{PerSecond: 100, Burst: 5, Reserve: 1})
	start := time.Now()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { wait(t, l, ratelimit.Waited) })
	}
	wg.Wait()
	if took := time.Since(start); took < 350*time.Millisecond {
		t.Errorf("40 tokens of 100 a second and a burst of 5 took %s", took)
	}
}

func waitedFirst(t *testing.T, make New) {
	l := make(t, ratelimit.Rate{PerSecond: 50, Burst: 10, Reserve: 8})
	const waiters = 20
	var done atomic.Int32
	var wg sync.WaitGroup
	wait(t, l, ratelimit.Waited) // the token that a new bucket has
	for range waiters {
		wg.Go(func() { wait(t, l, ratelimit.Waited); done.Add(1) })
	}
	for range 3 {
		wg.Go(func() {
			wait(t, l, ratelimit.Ahead)
			if n := done.Load(); n < waiters {
				t.Errorf("one ahead went when %d of %d who waited had gone", n, waiters)
			}
		})
	}
	wg.Wait()
}

// inOrder allows for a few callers out of order: between two asks of a caller
// that was refused, the bucket may fill enough for one of the next priority.
func inOrder(t *testing.T, make New) {
	l := make(t, ratelimit.Rate{PerSecond: 100, Burst: 16, Reserve: 15})
	wait(t, l, ratelimit.Waited)
	const each = 8
	var mu sync.Mutex
	var went []ratelimit.Priority
	var wg sync.WaitGroup
	for p := range ratelimit.Priority(ratelimit.Priorities) {
		for range each {
			wg.Go(func() {
				wait(t, l, p)
				mu.Lock()
				went = append(went, p)
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	early := 0
	for i, p := range went {
		for _, later := range went[i+1:] {
			if later < p {
				early++
			}
		}
	}
	if pairs := each * each * ratelimit.Priorities * (ratelimit.Priorities - 1) / 2; early > pairs/8 {
		t.Errorf("%d of %d pairs went in the wrong order: %v", early, pairs, went)
	}
}

func aheadGoes(t *testing.T, make New) {
	l := make(t, ratelimit.Rate{PerSecond: 200, Burst: 5, Reserve: 2})
	for range 10 {
		wait(t, l, ratelimit.Ahead)
	}
}

func endsWithContext(t *testing.T, make New) {
	l := make(t, ratelimit.Rate{PerSecond: 1, Burst: 1})
	wait(t, l, ratelimit.Waited)
	for _, p := range []ratelimit.Priority{ratelimit.Waited, ratelimit.Runner, ratelimit.Behind, ratelimit.Ahead} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := l.Wait(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("priority %d: %v, want the context's error", p, err)
		}
		cancel()
	}
}

func leaversGiveBack(t *testing.T, make New) {
	l := make(t, ratelimit.Rate{PerSecond: 2, Burst: 1})
	wait(t, l, ratelimit.Waited)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 18 { // a debt of nine seconds
		wg.Go(func() { _ = l.Wait(ctx, ratelimit.Waited) })
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	wg.Wait()
	start := time.Now()
	wait(t, l, ratelimit.Waited)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("waited %s for those who had left", took)
	}
}

func wait(t *testing.T, l ratelimit.Limiter, p ratelimit.Priority) {
	if err := l.Wait(t.Context(), p); err != nil {
		t.Errorf("wait: %v", err)
	}
}
