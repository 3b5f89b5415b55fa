package gate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesDoubleUpToTheLongestAndEndWithASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		fault := errors.New("redis is out of reach")
		for _, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			g.Shut(fault)
			g.Shut(fault) // the same fault, seen again
			start := time.Now()
			if err := g.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want*time.Millisecond {
				t.Fatalf("paused %v, want %v", got, want*time.Millisecond)
			}
			if g.Reason() != fault {
				t.Fatal("the reason is lost before anything has succeeded")
			}
		}
		g.Open()
		start := time.Now()
		if _ = g.Wait(t.Context()); time.Since(start) != 0 || g.Reason() != nil {
			t.Fatal("the gate is shut after a success")
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		g.Shut(errors.New("down"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := g.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}
