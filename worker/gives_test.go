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

// countedSlots counts the calls that give slots back.
type countedSlots struct {
	slot.Slots
	gives atomic.Int64
}

func (s *countedSlots) Give(ctx context.Context, asks []slot.Ask) error {
	s.gives.Add(1)
	time.Sleep(time.Millisecond)
	return s.Slots.Give(ctx, asks)
}

func TestRunsThatEndTogetherGiveTheirSlotsBackTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countedSlots{}
		b := newBench(t, worker.Config{}, func(d *worker.Deps) {
			counted.Slots, d.Slots = d.Slots, counted
		})
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
		settle()
		if n := counted.gives.Load(); n == 0 || n > 10 {
			t.Errorf("20 runs took %d calls to give their slots back", n)
		}
		if n, err := b.slots.InUse(t.Context(), slot.Scope("tenant", "acme")); n != 0 || err != nil {
			t.Errorf("%d slots are taken, %v", n, err)
		}
	})
}
