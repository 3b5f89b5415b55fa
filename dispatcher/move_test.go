package dispatcher_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// atlas tells the cell of all tenants.
type atlas struct {
	others map[string]queue.Queue
	to     atomic.Value // of string; "" is here
}

func newAtlas(to string, other queue.Queue) *atlas {
	a := &atlas{others: map[string]queue.Queue{"other": other}}
	a.to.Store(to)
	return a
}

func (a *atlas) Of(string) string               { return a.to.Load().(string) }
func (a *atlas) Others() map[string]queue.Queue { return a.others }

// beside runs a dispatcher that has another cell.
func beside(t *testing.T, to string, test func(b *bench, cells *atlas, other *memqueue.Queue, faults *inmemory.Faults)) {
	synctest.Test(t, func(t *testing.T) {
		faults := &inmemory.Faults{}
		other := faults.Queue("other-requests")
		cells := newAtlas(to, other)
		b := newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) { d.Cells = cells })
		b.start()
		defer func() { b.Stop() }()
		synctest.Wait()
		test(b, cells, other, faults)
	})
}

func TestARequestOfAnotherCellsTenantIsSentThere(t *testing.T) {
	beside(t, "other", func(b *bench, _ *atlas, other *memqueue.Queue, _ *inmemory.Faults) {
		b.send(ask("r"), cancelling("c", "r"))
		want, _ := ask("r").Encode()
		if ds := b.take(other); len(ds) != 2 || string(ds[0].Body) != string(want) || ds[0].Group != "acme" {
			t.Errorf("the other cell has %+v", ds)
		}
		if n := len(b.sent()); n != 0 {
			t.Errorf("%d runs are here too", n)
		}
		b.nothingLeft()
	})
}

func TestARunThatBeganInThisCellEndsHereWhenItsTenantMoves(t *testing.T) {
	beside(t, "", func(b *bench, cells *atlas, other *memqueue.Queue, _ *inmemory.Faults) {
		b.send(ask("r"))
		cells.to.Store("other")
		b.send(ask("r"), cancelling("c", "r"), ask("new"))
		if ds := b.take(other); len(ds) != 1 {
			t.Errorf("the other cell has %d requests, not only the new one", len(ds))
		}
		if n := len(b.sent()); n != 2 {
			t.Errorf("%d deliveries are here, not those of r", n)
		}
		b.answers(1) // to the cancellation
	})
}

// Two dispatchers that disagree do not send a request back and forth.
func TestARequestMovesOnce(t *testing.T) {
	beside(t, "other", func(b *bench, _ *atlas, other *memqueue.Queue, _ *inmemory.Faults) {
		b.send(ask("r"))
		moved := b.take(other)
		b.requests.Send(t.Context(), []queue.Message{{Body: moved[0].Body, Attributes: moved[0].Attributes}})
		time.Sleep(time.Second)
		if n := len(b.sent()); n != 1 {
			t.Errorf("%d runs are here, not the one that was sent back", n)
		}
	})
}

func TestARequestWaitsWhileItsCellIsAway(t *testing.T) {
	beside(t, "other", func(b *bench, _ *atlas, other *memqueue.Queue, faults *inmemory.Faults) {
		faults.OnCall(refuse(memqueue.OpSend))
		b.send(ask("r"))
		time.Sleep(10 * time.Second)
		if len(b.take(other))+len(b.sent()) != 0 {
			t.Error("the request is somewhere")
		}
		faults.OnCall(nil)
		time.Sleep(5 * time.Minute)
		if n := len(b.take(other)); n != 1 {
			t.Errorf("the other cell has %d requests", n)
		}
		b.nothingLeft()
	})
}

// A tenant moves while its requests come, and its story sends them again, to the
// cell that it has always sent to: every run is in one cell.
func TestNoRunIsLostOrInTwoCellsWhileATenantMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := memqueue.New("there", memqueue.Options{})
		toHere, toThere := newAtlas("other", nil), newAtlas("", there)
		here := newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) { d.Cells = toThere })
		toHere.others["other"] = here.requests
		other := newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) { d.Requests, d.Cells = there, toHere })
		here.start()
		other.start()
		defer func() { here.Stop(); other.Stop() }()
		const runs = 100
		send := func(from, to int) {
			for i := from; i < to; i++ {
				here.send(ask(fmt.Sprint(i)))
			}
		}
		send(0, runs/4)
		toThere.to.Store("other") // the one cell knows of the move
		send(0, runs/2)
		toHere.to.Store("") // now the other one does
		send(0, runs)
		time.Sleep(5 * time.Minute)
		where := map[string]map[*bench]bool{}
		for _, b := range []*bench{here, other} {
			for _, d := range b.sent() {
				r, refused := inmemory.Policy.Decode(d.Body, time.Now())
				if refused != nil {
					t.Fatal(refused)
				}
				if where[r.ID] == nil {
					where[r.ID] = map[*bench]bool{}
				}
				where[r.ID][b] = true
			}
		}
		if len(where) != runs {
			t.Errorf("%d of %d runs are in a cell", len(where), runs)
		}
		for id, cells := range where {
			if len(cells) != 1 {
				t.Errorf("run %s is in %d cells", id, len(cells))
			}
		}
	})
}
