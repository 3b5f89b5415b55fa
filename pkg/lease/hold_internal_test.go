package lease

import (
	"context"
	"testing"
	"time"
)

// A paused process runs no timer, so when it resumes, the hold's context has
// not ended although its time is up. This test makes such a hold directly; the
// tests of redislease pause a process with SIGSTOP.
func TestValidNoticesAPauseBeforeAnyTimerRuns(t *testing.T) {
	for name, woke := range map[string]time.Time{
		"by the monotonic clock": time.Now().Add(-time.Minute),
		"by the wall clock":      time.Now().Round(0).Add(-time.Minute),
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		h := &Hold{ttl: time.Minute, since: woke, ctx: ctx, cancel: cancel}
		if h.Valid() {
			t.Errorf("%s: valid after a pause of a whole TTL", name)
		}
		cancel(nil)
	}
}

func TestElapsedBelievesTheLongerClock(t *testing.T) {
	now := time.Now()
	if got := elapsed(now, now.Add(time.Second)); got != time.Second {
		t.Errorf("both clocks say 1s, got %s", got)
	}
	asleep := now.Round(0).Add(time.Hour) // without a monotonic reading
	if got := elapsed(now, asleep); got < time.Hour {
		t.Errorf("the wall clock says 1h, got %s", got)
	}
}
