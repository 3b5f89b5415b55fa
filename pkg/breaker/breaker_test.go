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
			b.Open(fault) // the same fault, seen again
			start := time.Now()
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want*time.Millisecond {
				t.Fatalf("paused %v, want %v", got, want*time.Millisecond)
			}
			if b.Reason() != fault {
				t.Fatal("the reason is lost before anything has succeeded")
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
