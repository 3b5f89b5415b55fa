package worker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/worker"
)

// countSlots makes the bench's worker count its calls for slots.
func countSlots(counted *countedSlots) func(*worker.Deps) {
	return func(d *worker.Deps) { counted.Slots, d.Slots = d.Slots, counted }
}

// oneByOne runs that many runs, each after the end of the one before.
func (b *bench) oneByOne(name string, runs int) {
	for i := range runs {
		b.send(ask(fmt.Sprint(name, i)))
		b.result()
		time.Sleep(200 * time.Millisecond)
	}
}

func (b *bench) inUse(want int) {
	b.Helper()
	if n := b.taken(); n != want {
		b.Errorf("%d slots are taken, want %d", n, want)
	}
}

// taken is how many slots of the tenant acme are taken.
func (b *bench) taken() int {
	n, err := b.slots.InUse(context.Background(), []string{slot.Scope("tenant", "acme")})
	if err != nil {
		b.Error(err)
		return -1
	}
	return n[0]
}

func TestATenantsNextRunTakesTheSlotOfTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countedSlots{}
		b := newBench(t, worker.Config{}, countSlots(counted))
		b.limits.MaxRunning = 50
		b.start()
		defer func() { b.Stop() }()
		b.oneByOne("run-", 10)
		if takes, gives := counted.takes.Load(), counted.gives.Load(); takes != 1 || gives != 0 {
			t.Errorf("ten runs took %d calls to take slots and %d to give them back", takes, gives)
		}
		b.inUse(1)
		time.Sleep(2 * time.Second)
		b.inUse(0)

		b.oneByOne("before-", 1)
		b.limits.MaxRunning = 20
		b.oneByOne("after-", 1)
		if n := counted.takes.Load(); n != 3 {
			t.Errorf("%d calls took slots; a slot of another cap was to be used no more", n)
		}
	})
}

func TestAWorkerThatStopsKeepsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, worker.Config{})
		b.limits.MaxRunning = 50
		b.start()
		b.oneByOne("run-", 1)
		b.inUse(1)
		b.Stop()
		b.inUse(0)
	})
}

func TestATenthOfTheCapIsKept(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(time.Second)
		for most, limit := range map[int]int{0: 9, 2: 29} {
			b.limits.MaxRunning = limit
			for i := range 5 {
				b.send(ask(fmt.Sprint(limit, "-", i)))
			}
			for range 5 {
				b.result()
			}
			time.Sleep(100 * time.Millisecond)
			b.inUse(most)
			time.Sleep(2 * time.Second)
			b.inUse(0)
		}
	})
}
