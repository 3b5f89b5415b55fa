package lease

import (
	"context"
	"testing"
	"time"
)

// A process that was stopped runs no timer. What it finds on waking is a hold
// whose context has not ended though its time is up, which this test makes by
// hand; the processes' own tests do it with SIGSTOP.
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
	asleep := now.Round(0).Add(time.Hour) // the wall clock alone
	if got := elapsed(now, asleep); got < time.Hour {
		t.Errorf("the wall clock says 1h, got %s", got)
	}
}
