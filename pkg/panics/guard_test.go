package panics

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// watched returns a guard with its log and its count.
func watched() (g Guard, log *observer.ObservedLogs, counted *int) {
	core, log := observer.New(zap.ErrorLevel)
	counted = new(int)
	return Guard{Log: zap.New(core), Count: func() { *counted++ }}, log, counted
}

func TestGuardLogsAndCountsAPanicWithWhatItWasOf(t *testing.T) {
	g, log, counted := watched()
	p := g.Catch(func() { indexPastTheEnd(nil) }, func() []zap.Field { return []zap.Field{zap.String("tenant", "acme")} })
	if p == nil || *counted != 1 || log.Len() != 1 {
		t.Fatalf("caught %v, counted %d, logged %d", p, *counted, log.Len())
	}
	line := log.All()[0].ContextMap()
	if line["tenant"] != "acme" || line["id"] != p.ID || !strings.Contains(line["stack"].(string), "indexPastTheEnd") {
		t.Errorf("the log says %v", line)
	}
	if p := (Guard{}).Catch(func() { panic("x") }, nil); p == nil {
		t.Error("the zero guard catches nothing")
	}
}

func TestLoopThatPanicsIsCalledAgainAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, log, counted := watched()
		began, calls := time.Now(), 0
		g.Loop(t.Context(), "heartbeat", func() {
			if calls++; calls < 3 {
				panic("x")
			}
		})
		if calls != 3 || *counted != 2 || time.Since(began) != 2*pause || log.All()[0].ContextMap()["loop"] != "heartbeat" {
			t.Errorf("%d calls, %d panics, in %s, logged as %v", calls, *counted, time.Since(began), log.All())
		}
	})
}

func TestLoopThatPanicsEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := watched()
		ctx, cancel := context.WithTimeout(t.Context(), 10*pause)
		defer cancel()
		g.Loop(ctx, "heartbeat", func() { panic("x") })
	})
}

func TestPanicInAGroupIsThatOfTheGoroutineThatWaits(t *testing.T) {
	var within, ran *Error
	caught := Catch(func() {
		var g Group
		g.SetLimit(2)
		g.Go(func() error { return errors.New("an error") })
		g.Go(func() error { ran = &Error{}; return nil })
		g.Go(func() error { indexPastTheEnd(nil); return nil })
		within = Catch(func() { _ = g.Wait() })
		panic(within)
	})
	if ran == nil || caught == nil || caught != within || !strings.Contains(caught.Stack, "indexPastTheEnd") {
		t.Errorf("caught %+v", caught)
	}
}

func TestGroupReturnsItsFirstError(t *testing.T) {
	var g Group
	why := errors.New("an error")
	g.Go(func() error { return nil })
	g.Go(func() error { return why })
	if err := g.Wait(); err != why {
		t.Errorf("Wait = %v", err)
	}
}
