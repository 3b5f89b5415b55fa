// Package queuetest holds implementations of queue.Queue to their contract.
// Each claim of the contract is a test. The fleet can use a queue that passes
// all.
//
// Durations are whole seconds, since SQS has no shorter ones. A test waits for
// a condition instead of a moment. It measures a least duration from before the
// call that begins it. [Run] runs all claims at once, so it takes as long as
// the longest claim, less than ten seconds. [RunInBubbles] takes no real time,
// and needs an implementation that uses the clock of package time.
package queuetest

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Options say what kind of queue a claim needs.
type Options struct {
	MaxReceiveCount int         // 0 for no redrive
	DeadLetter      queue.Queue // from an earlier call of the same Open
	MaxBytes        int         // of a message; 0 for queue.MaxMessageBytes
}

// Open makes a new empty queue with a name of its own, and closes it by
// t.Cleanup.
type Open func(t *testing.T, o Options) queue.Queue

// Exception names a claim that an implementation does not meet, and the reason
// why the fleet may use it nevertheless. The claim is not run.
type Exception struct{ Claim, Reason string }

// Run checks all claims at once, in real time. They mostly wait, so it does not
// matter that there are fewer processors.
func Run(t *testing.T, open Open, except ...Exception) {
	var wg sync.WaitGroup
	for _, c := range claimsBut(t, except) {
		wg.Go(func() {
			t.Run(c.name, func(t *testing.T) { c.check(t, open) })
		})
	}
	wg.Wait()
}

// RunInBubbles checks every claim in a testing/synctest bubble.
func RunInBubbles(t *testing.T, open Open, except ...Exception) {
	for _, c := range claimsBut(t, except) {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.check(t, open) })
		})
	}
}

func claimsBut(t *testing.T, except []Exception) []claim {
	reasons := map[string]string{}
	for _, e := range except {
		reasons[e.Claim] = e.Reason
	}
	var kept []claim
	for _, c := range claims {
		if reason, ok := reasons[c.name]; ok {
			t.Logf("not claimed: %s: %s", c.name, reason)
			delete(reasons, c.name)
			continue
		}
		kept = append(kept, c)
	}
	for name := range reasons {
		t.Errorf("an exception names no claim: %s", name)
	}
	return kept
}

// send puts messages on q, and fails the test if one is refused.
func send(t *testing.T, q queue.Queue, ms ...queue.Message) {
	t.Helper()
	for i, err := range q.Send(t.Context(), ms) {
		if err != nil {
			t.Fatalf("send message %d: %v", i, err)
		}
	}
}

// numbered makes n messages with different bodies.
func numbered(n int) []queue.Message {
	ms := make([]queue.Message, n)
	for i := range ms {
		ms[i].Body = fmt.Appendf(nil, "message %d", i)
	}
	return ms
}

// poll receives once.
func poll(t *testing.T, q queue.Queue, wait, visibility time.Duration) []queue.Delivery {
	t.Helper()
	ds, err := q.Receive(t.Context(), queue.Poll{Max: queue.MaxBatch, Wait: wait, Visibility: visibility})
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return ds
}

// patience is how long a test waits for a condition. It is much longer than
// needed, for machines under load.
const patience = 20 * time.Second

// collect receives until it has n deliveries, since one receive may return
// fewer messages than there are.
func collect(t *testing.T, q queue.Queue, n int, visibility time.Duration) []queue.Delivery {
	t.Helper()
	var all []queue.Delivery
	for end := time.Now().Add(patience); len(all) < n; {
		all = append(all, poll(t, q, 2*time.Second, visibility)...)
		if time.Now().After(end) {
			t.Fatalf("received %d messages, want %d", len(all), n)
		}
	}
	if len(all) > n {
		t.Fatalf("received %d messages, want %d", len(all), n)
	}
	return all
}

// one receives one message.
func one(t *testing.T, q queue.Queue, visibility time.Duration) queue.Delivery {
	t.Helper()
	return collect(t, q, 1, visibility)[0]
}

// nothing fails the test if q has a visible message.
func nothing(t *testing.T, q queue.Queue) {
	t.Helper()
	if ds := poll(t, q, 0, time.Minute); len(ds) > 0 {
		t.Fatalf("received %d messages, the first %q, want none", len(ds), ds[0].Body)
	}
}

// depth waits until q's depth is want.
func depth(t *testing.T, q queue.Queue, want queue.Depth) {
	t.Helper()
	wait.Until(t, patience, fmt.Sprintf("the depth is not %+v", want), func() bool {
		got, err := q.Depth(t.Context())
		if err != nil {
			t.Fatalf("depth: %v", err)
		}
		return got == want
	})
}

// settled fails the test if an entry failed.
func settled(t *testing.T, verb string, errs []error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s entry %d: %v", verb, i, err)
		}
	}
}
