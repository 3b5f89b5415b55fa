package breaker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesDoubleUpToTheLongestAndEndWithASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Breaker
		fault := errors.New("redis is out of reach")
		for _, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			b.Open(fault)
			b.Open(fault) // the same fault again
			if !b.Paused() {
				t.Fatal("an open breaker does not pause")
			}
			start := time.Now()
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want*time.Millisecond {
				t.Fatalf("paused %v, want %v", got, want*time.Millisecond)
			}
			if b.Reason() != fault || b.Paused() {
				t.Fatal("the reason is lost, or the pause goes on, before anything has succeeded")
			}
		}
		b.Close()
		start := time.Now()
		if _ = b.Wait(t.Context()); time.Since(start) != 0 || b.Reason() != nil {
			t.Fatal("the breaker is open after a success")
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Breaker
		b.Open(errors.New("down"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestAFaultThatNothingMeetsAgainIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Breaker
		for range 10 {
			b.Open(errors.New("redis is away"))
			time.Sleep(longestPause + 10*time.Second) // the next call fails after 10 s
			if b.Reason() == nil {
				t.Fatal("the fault counts as over while calls fail")
			}
		}
		time.Sleep(longestSilence)
		if err := b.Reason(); err != nil {
			t.Errorf("without a call since: %v", err)
		}
	})
}
