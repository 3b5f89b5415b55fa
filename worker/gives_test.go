package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/worker"
)

// countedSlots counts the calls that take slots, and that give them back.
type countedSlots struct {
	slot.Slots
	takes, gives atomic.Int64
}

func (s *countedSlots) Take(ctx context.Context, asks []slot.Ask, ttl time.Duration) ([]bool, error) {
	s.takes.Add(1)
	return s.Slots.Take(ctx, asks, ttl)
}

func (s *countedSlots) Give(ctx context.Context, asks []slot.Ask) error {
	s.gives.Add(1)
	time.Sleep(time.Millisecond)
	return s.Slots.Give(ctx, asks)
}

func TestRunsThatEndTogetherGiveTheirSlotsBackTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countedSlots{}
		b := newBench(t, worker.Config{}, countSlots(counted))
		b.limits.MaxRunning = 50
		b.lasting(time.Second)
		for i := range 20 {
			b.send(ask(fmt.Sprint(i)))
		}
		b.start()
		defer func() { b.Stop() }()
		for range 20 {
			b.result()
		}
		time.Sleep(2 * time.Second) // what is kept is given back too
		synctest.Wait()
		if n := counted.gives.Load(); n == 0 || n > 10 {
			t.Errorf("20 runs took %d calls to give their slots back", n)
		}
		b.inUse(0)
	})
}
