package dispatcher_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// hang keeps sends waiting for longer than any caller waits.
func hang(op memqueue.Op, _ int) error {
	if op == memqueue.OpSend {
		time.Sleep(2 * time.Minute)
	}
	return refuse(memqueue.OpSend)(op, 1)
}

// tenantsByPartition returns a tenant for each of n partitions.
func tenantsByPartition(n int) []string {
	all := make([]string, n)
	for i, found := 0, 0; found < n; i++ {
		name := fmt.Sprint("tenant-", i)
		if p := partition.Shard(name, n, 1)[0]; all[p] == "" {
			all[p] = name
			found++
		}
	}
	return all
}

func of(tenant string) func(*run.Request) { return func(r *run.Request) { r.Tenant = tenant } }

func (b *bench) visible(q *memqueue.Queue) int {
	d, _ := q.Depth(context.Background())
	return d.Visible
}

func TestOtherTenantsPassAtOnceWhileOnePartitionIsAway(t *testing.T) {
	tenants := tenantsByPartition(4)
	for name, fault := range map[string]func(memqueue.Op, int) error{
		"it refuses": refuse(memqueue.OpSend), "it hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(b *bench) {
				b.shard, b.backlog = 1, 1_000_000
				b.partitionFaults[0].OnCall(fault)
				held := make([][]byte, 1000)
				for i := range held {
					held[i], _ = ask(fmt.Sprint("held-", i), of(tenants[0])).Encode()
				}
				b.sendAll(held...)
				time.Sleep(time.Second) // until it is noticed
				for second := range 120 {
					for p, tenant := range tenants[1:] {
						b.send(ask(fmt.Sprint("quiet-", second), of(tenant)))
						if n := b.visible(b.partitions[p+1]); n != second+1 {
							t.Fatalf("%d of %d requests of %s came through at once", n, second+1, tenant)
						}
					}
					time.Sleep(time.Second)
				}
				if err := b.d.Ready(); err != nil {
					t.Errorf("the dispatcher is not ready: %v", err)
				}
				b.partitionFaults[0].OnCall(nil)
				time.Sleep(10 * time.Minute)
				ids := map[string]bool{}
				for _, d := range b.take(b.partitions[0]) {
					r, _ := inmemory.Policy.Decode(d.Body, time.Now())
					ids[r.ID] = true
				}
				if len(ids) != 1000 {
					t.Errorf("%d of 1000 requests of the partition that was away came through", len(ids))
				}
				b.nothingLeft()
			})
		})
	}
}

func TestAQueuesAbsenceIsLoggedOnceAndItsReturnOnce(t *testing.T) {
	with(t, func(b *bench) {
		b.partitionFaults[0].OnCall(refuse(memqueue.OpSend)) // the one that is in use at a low load
		for i := range 50 {
			b.send(ask(fmt.Sprint(i)))
		}
		time.Sleep(3 * time.Minute)
		b.partitionFaults[0].OnCall(nil)
		time.Sleep(time.Minute)
		b.send(ask("again"))
		var lines []string
		for _, e := range b.logs.All() {
			lines = append(lines, e.Level.String()+" "+e.Message)
		}
		want := "warn queue is away; what goes to it is put back until it answers, info queue answers again"
		if got := strings.Join(lines, ", "); got != want {
			t.Errorf("the log says %s", got)
		}
	})
}

func TestTenantGoesByItsOtherPartitionsWhileTwoAreAway(t *testing.T) {
	with(t, func(b *bench) {
		shard := partition.Shard("acme", 4, 2)
		b.partitionFaults[0].OnCall(refuse(memqueue.OpSend))
		b.partitionFaults[shard[0]].OnCall(refuse(memqueue.OpSend))
		for i := range 20 {
			b.send(ask(fmt.Sprint(i)))
		}
		time.Sleep(time.Minute)
		if n := b.visible(b.partitions[shard[1]]); n != 20 {
			t.Errorf("%d of 20 runs went by the partition that answers", n)
		}
		b.nothingLeft()
	})
}

func TestSlowSendHoldsUpNoOtherRequest(t *testing.T) {
	tenants := tenantsByPartition(4)
	withConfig(t, dispatcher.Config{Pollers: 1}, func(b *bench) {
		b.shard = 1
		b.partitionFaults[0].OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpSend {
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		start := time.Now()
		b.send(ask("slow", of(tenants[0])))
		time.Sleep(100 * time.Millisecond) // until it is noticed
		for i := range 9 {
			b.send(ask(fmt.Sprint(i), of(tenants[1])))
		}
		if n := b.visible(b.partitions[1]); n != 9 || time.Since(start) > time.Second {
			t.Errorf("%d of 9 came through within %s", n, time.Since(start))
		}
		time.Sleep(6 * time.Second)
		if n := b.visible(b.partitions[0]); n != 1 {
			t.Error("the slow one did not come through")
		}
		b.nothingLeft()
	})
}

func TestNoMoreIsTakenInHandThanIsConfigured(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  dispatcher.Config
		size int
		want int // in hand
	}{
		"in number": {dispatcher.Config{MaxInHand: 40}, 0, 40},
		// The last poll is the one that exceeds the limit.
		"in bytes": {dispatcher.Config{Pollers: 1, MaxInHandBytes: 1 << 20}, 200 << 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			withConfig(t, c.cfg, func(b *bench) {
				b.ledger.Hook(func(string) { time.Sleep(8 * time.Second) })
				input := fmt.Appendf(nil, `{"a":"%s"}`, strings.Repeat("a", c.size))
				bodies := make([][]byte, 100)
				for i := range bodies {
					bodies[i], _ = ask(fmt.Sprint(i), func(r *run.Request) { r.Data.Input = input }).Encode()
				}
				b.sendAll(bodies...)
				if d, _ := b.requests.Depth(context.Background()); d.InFlight != c.want {
					t.Errorf("%d requests are in hand, want %d", d.InFlight, c.want)
				}
				b.ledger.Hook(nil)
				time.Sleep(time.Minute)
				if n := len(b.sent()); n != 100 {
					t.Errorf("%d of 100 came through", n)
				}
				b.nothingLeft()
			})
		})
	}
}

func TestReadyNamesWhatIsAwayAndForgetsItWhenItIsBack(t *testing.T) {
	with(t, func(b *bench) {
		b.requestFaults.OnCall(refuse(memqueue.OpReceive))
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := b.d.Ready(); err == nil || !strings.Contains(err.Error(), "the requests queue is away") {
			t.Errorf("the dispatcher says %v", err)
		}
		b.requestFaults.OnCall(nil)
		time.Sleep(time.Minute) // the polls, which receive nothing, find that the queue is back
		if err := b.d.Ready(); err != nil {
			t.Errorf("the dispatcher still says %v", err)
		}
	})
}

func TestRunsThatComeOneByOneShareSendsAsLongAsTheyMayLinger(t *testing.T) {
	sends := map[time.Duration]int64{}
	for _, linger := range []time.Duration{0, 5 * time.Millisecond} {
		withConfig(t, dispatcher.Config{MaxLinger: &linger}, func(b *bench) {
			var n atomic.Int64
			b.partitionFaults.OnCall(func(op memqueue.Op, _ int) error {
				if op == memqueue.OpSend {
					n.Add(1)
				}
				return nil
			})
			for i := range 100 {
				body, _ := ask(fmt.Sprint(i)).Encode()
				b.requests.Send(context.Background(), []queue.Message{{Body: body}})
				time.Sleep(time.Millisecond)
			}
			settle()
			sends[linger] = n.Load()
		})
	}
	if sends[0] != 100 || sends[5*time.Millisecond] > 50 {
		t.Errorf("100 runs, one a millisecond, take these sends by how long they may linger: %v", sends)
	}
}
