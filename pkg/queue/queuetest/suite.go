// Package queuetest holds implementations of queue.Queue to the contract. Each
// claim is a test by name; what passes here can be used by the fleet.
//
// Durations are whole seconds, for a real queue knows no finer ones, and nothing
// is taken to happen at a moment: a test waits for a condition, and measures what must
// not happen too early from before the call that it counts from. [Run] takes as
// long as its longest claim, under ten seconds, for all claims run at once;
// [RunInBubbles] takes no time at all where the implementation tells the time
// from the time package.
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
	DeadLetter      queue.Queue // opened before, by the same Open
	MaxBytes        int         // of a message; 0 for queue.MaxMessageBytes
}

// Open makes a new empty queue under a name of its own; what it opens it closes
// by t.Cleanup.
type Open func(t *testing.T, o Options) queue.Queue

// Exception names a claim that an implementation does not keep, and why the
// fleet can live with that. It is not run.
type Exception struct{ Claim, Reason string }

// Run checks every claim against real time, all at once: they spend their time
// waiting, so the number of processors does not bound them.
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

// send puts messages on q and fails the test where one is refused.
func send(t *testing.T, q queue.Queue, ms ...queue.Message) {
	t.Helper()
	for i, err := range q.Send(t.Context(), ms) {
		if err != nil {
			t.Fatalf("send message %d: %v", i, err)
		}
	}
}

// numbered makes n messages with bodies of their own.
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

// patience is how long a condition may take to come about: far longer than it
// should, for machines under load.
const patience = 20 * time.Second

// collect receives until it has n deliveries: a receive may bring fewer than
// there are.
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

// nothing fails the test where q has a message to give.
func nothing(t *testing.T, q queue.Queue) {
	t.Helper()
	if ds := poll(t, q, 0, time.Minute); len(ds) > 0 {
		t.Fatalf("received %d messages, the first %q, want none", len(ds), ds[0].Body)
	}
}

// depth waits until q's depth is as wanted.
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

// settled fails the test where an entry failed.
func settled(t *testing.T, verb string, errs []error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s entry %d: %v", verb, i, err)
		}
	}
}
