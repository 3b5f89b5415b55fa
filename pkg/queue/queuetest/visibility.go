package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

func extendByZeroPutsBackAtOnce(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, numbered(1)...)
	first := one(t, q, time.Minute)
	nothing(t, q)
	settled(t, "put back", q.Extend(t.Context(), []queue.Delivery{first}, 0))
	if again := one(t, q, time.Minute); again.MessageID != first.MessageID || again.ReceiveCount != 2 {
		t.Errorf("received %+v", again)
	}
}

func extendKeepsADeliveryOurs(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, numbered(1)...)
	d := one(t, q, 5*time.Second)
	settled(t, "extend", q.Extend(t.Context(), []queue.Delivery{d}, time.Minute))
	if ds := poll(t, q, 6*time.Second, time.Minute); len(ds) > 0 {
		t.Errorf("received again %s after its receive, though it was extended", time.Since(d.ReceivedAt))
	}
	settled(t, "delete", q.Delete(t.Context(), []queue.Delivery{d}))
	depth(t, q, queue.Depth{})
}

func extendPutsBackAfterADelay(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, numbered(1)...)
	d := one(t, q, time.Minute)
	back := time.Now()
	settled(t, "put back", q.Extend(t.Context(), []queue.Delivery{d}, 3*time.Second))
	one(t, q, time.Minute)
	if after := time.Since(back); after < 2*time.Second || after > patience {
		t.Errorf("received again after %s", after)
	}
}

func extendOfLostIsErrGone(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, numbered(1)...)
	lost := one(t, q, time.Second)
	ours := one(t, q, time.Minute)
	if err := q.Extend(t.Context(), []queue.Delivery{lost}, 0)[0]; !errors.Is(err, queue.ErrGone) {
		t.Errorf("extend of a lost delivery = %v, want ErrGone", err)
	}
	nothing(t, q) // the old handle did not put the new owner's delivery back
	settled(t, "extend", q.Extend(t.Context(), []queue.Delivery{ours}, time.Minute))
}

func extendOfDeletedIsErrGone(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, numbered(2)...)
	ds := collect(t, q, 2, time.Minute)
	settled(t, "delete", q.Delete(t.Context(), ds[:1]))
	errs := q.Extend(t.Context(), ds, time.Minute)
	if !errors.Is(errs[0], queue.ErrGone) || errs[1] != nil {
		t.Errorf("extend of a deleted and a good delivery: %v, want ErrGone and nil", errs)
	}
}

func depthTellsWhereMessagesAre(t *testing.T, open Open) {
	q := open(t, Options{})
	depth(t, q, queue.Depth{})
	ms := numbered(3)
	ms[2].Delay = time.Minute
	send(t, q, ms...)
	depth(t, q, queue.Depth{Visible: 2, Delayed: 1})
	ds := collect(t, q, 2, time.Minute)
	depth(t, q, queue.Depth{InFlight: 2, Delayed: 1})
	settled(t, "put back", q.Extend(t.Context(), ds[:1], 0))
	settled(t, "delete", q.Delete(t.Context(), ds[1:]))
	depth(t, q, queue.Depth{Visible: 1, Delayed: 1})
}

func receiversNeverShareADelivery(t *testing.T, open Open) {
	q := open(t, Options{})
	if err := shared(t.Context(), q, 8, 200); err != nil {
		t.Error(err)
	}
}

// shared lets receivers compete for n messages whose visibility does not run
// out. Its error names a message that was delivered twice.
func shared(ctx context.Context, q queue.Queue, receivers, n int) error {
	if err := errors.Join(q.Send(ctx, numbered(n))...); err != nil {
		return err
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	all := func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) >= n }
	receive := func() error {
		for !all() {
			ds, err := q.Receive(ctx, queue.Poll{Max: 3, Wait: time.Second, Visibility: time.Hour})
			if err != nil {
				return err
			}
			mu.Lock()
			for _, d := range ds {
				if seen[d.MessageID] {
					mu.Unlock()
					return fmt.Errorf("%q was delivered twice within its visibility", d.Body)
				}
				seen[d.MessageID] = true
			}
			mu.Unlock()
		}
		return nil
	}
	errs := make([]error, receivers)
	var wg sync.WaitGroup
	for i := range receivers {
		wg.Go(func() { errs[i] = receive() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
