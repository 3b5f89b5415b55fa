package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func (ts *turns) grants(t *testing.T, tenant string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	return ts.take(ctx, tenant, 1) == nil
}

func TestTurnsAreNoMoreThanTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(2, 0)
		if !s.grants(t, "a") || !s.grants(t, "b") || s.grants(t, "c") {
			t.Error("two turns are not two")
		}
		s.give("a", time.Second)
		if !s.grants(t, "c") {
			t.Error("a turn that was given back is not granted")
		}
	})
}

func TestThrottlesOfOneMomentLowerTheTurnsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(100, 0)
		for range 50 {
			s.throttled()
		}
		if limit, _, _ := s.counts(); limit != 67 {
			t.Errorf("there are %d turns, want 67", limit)
		}
		for range 30 {
			time.Sleep(time.Second)
			s.throttled()
		}
		if limit, _, _ := s.counts(); limit != 1 {
			t.Errorf("there are %d turns, want the last one", limit)
		}
		for range 10_000 {
			s.succeeded()
		}
		if limit, _, _ := s.counts(); limit != 100 {
			t.Errorf("there are %d turns after many successes, want all", limit)
		}
	})
}

func TestTurnsRiseByOneForAsManySuccessesAsThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(100, 0)
		s.throttled()
		for range 68 {
			s.succeeded()
		}
		if limit, _, _ := s.counts(); limit != 68 {
			t.Errorf("there are %d turns, want 68", limit)
		}
	})
}

func TestTurnsGoToWhoHasUsedTheFewestSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, 0)
		if !s.grants(t, "slow") {
			t.Fatal("no turn")
		}
		order := make(chan string, 9)
		wait := func(tenant string, used time.Duration) {
			go func() {
				if s.take(context.Background(), tenant, 1) == nil {
					order <- tenant
					s.give(tenant, used)
				}
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("slow", 10*time.Second)
		}
		for range 3 {
			wait("quick", 10*time.Millisecond)
		}
		s.give("slow", 30*time.Second)
		synctest.Wait()
		for range 3 {
			if got := <-order; got != "quick" {
				t.Errorf("%s came before quick", got)
			}
		}
	})
}

func TestBuildsAreChargedAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, 0)
		if !s.grants(t, "other") {
			t.Fatal("no turn")
		}
		s.charge("builder", time.Minute)
		first := make(chan string, 2)
		for _, tenant := range []string{"builder", "quiet"} {
			go func() {
				if s.take(context.Background(), tenant, 1) == nil {
					first <- tenant
				}
			}()
			synctest.Wait()
		}
		s.give("other", time.Second)
		if got := <-first; got != "quiet" {
			t.Errorf("%s came first", got)
		}
		s.give("quiet", time.Second)
		<-first
	})
}

func TestWaitForATurnEndsWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, 0)
		if !s.grants(t, "a") {
			t.Fatal("no turn")
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errExpired)
		if err := s.take(ctx, "b", 1); !errors.Is(err, errExpired) {
			t.Errorf("the wait ends with %v", err)
		}
		s.give("a", 0)
		if _, inUse, waiting := s.counts(); inUse != 0 || waiting != 0 {
			t.Errorf("%d are in use and %d wait", inUse, waiting)
		}
	})
}

func TestReserveIsForThoseWhoHaveHardlyAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(4, 2)
		for range 4 {
			if !s.grants(t, "long") {
				t.Fatal("no turn")
			}
		}
		if s.grants(t, "long") {
			t.Error("a tenant that has all turns has the reserve too")
		}
		if !s.grants(t, "quiet") {
			t.Error("a tenant that has nothing waits for the reserve")
		}
		if s.grants(t, "quiet") {
			t.Error("one tenant has all of the reserve")
		}
		if !s.grants(t, "other") {
			t.Error("nothing of the reserve is left for another")
		}
		if s.grants(t, "late") {
			t.Error("there is no end to the reserve")
		}
	})
}

func TestReserveShrinksWithTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(4, 2)
		for range 4 {
			time.Sleep(time.Second)
			s.throttled()
		}
		if !s.grants(t, "a") || s.grants(t, "b") {
			t.Error("with one turn left there is one, and no reserve")
		}
	})
}
