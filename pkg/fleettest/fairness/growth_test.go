package fairness

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

var growth = flag.Bool("growth", false, "measure how costs grow with runs, scripts and backlog (make bench BENCH=growth,million,heaps)")

// TestGrowth measures a run's CPU in a process that has served 20,000 runs, beside
// processes that have served 1,000, in turn.
func TestGrowth(t *testing.T) {
	if !*growth {
		return // the short form is TestTenantsAreServedHoweverMany
	}
	old := serve(t, tenScripts)
	old.slice(20_000)
	compare(t, "growth.20000", old, func() *served {
		young := serve(t, tenScripts)
		young.slice(1_000)
		return young
	})
}

// TestGrowthToAMillion measures it after 1,000,000 runs, beside a process that
// has served 20,000. It prints the ratio after each quarter: a machine that is
// too slow for the million in the time that it gets has measured something.
func TestGrowthToAMillion(t *testing.T) {
	if !*growth {
		return // the short form is TestTenantsAreServedHoweverMany
	}
	const part = 50_000
	old, middle := serve(t, tenScripts), serve(t, tenScripts)
	middle.slice(20_000)
	for ran := part; ran < 1_000_000; ran += part {
		old.slice(part)
		if ran%250_000 == 0 {
			fmt.Printf("after %d runs: %.3f\n", ran, old.slice(part/10)/middle.slice(part/10))
		}
	}
	old.slice(part)
	compare(t, "growth.1000000", old, func() *served { return middle })
}

var tenScripts = population{tenants: 10, scripts: 10}

// compare records the median ratio of an old process's CPU time to a younger
// one's, over slices that they serve in turn.
func compare(t *testing.T, name string, old *served, younger func() *served) {
	const slice, rounds = 5_000, 5
	var ratios []float64
	for range rounds {
		young := younger()
		ratios = append(ratios, old.slice(slice)/young.slice(slice))
	}
	fmt.Printf("%s: %.3f\n", name, median(ratios))
	figures.Record(t, name, median(ratios))
}

// TestHeapOfScripts measures what a worker keeps of each script that it knows.
func TestHeapOfScripts(t *testing.T) {
	if !*growth {
		return // the short form is TestTenantsAreServedHoweverMany
	}
	few, many := serve(t, tenScripts), serve(t, population{tenants: 10, scripts: 10_000})
	few.slice(10_000)
	many.slice(10_000)
	bytes := float64(many.end()-few.end()) / 9_990
	fmt.Printf("growth.script: %.0f bytes\n", bytes)
	figures.Record(t, "growth.script", bytes)
}

// TestBacklog measures the dispatcher's heap while it works through a backlog.
func TestBacklog(t *testing.T) {
	if !*growth {
		return // the short form is below
	}
	const of, parts = 1_000_000, 10
	heaps := drain(t, of, parts)
	fmt.Printf("heap while a backlog of %d shrinks, KiB: %v\n", of, heaps)
	figures.Record(t, "memory.backlog", float64(slices.Max(heaps[parts/2:]))/float64(slices.Max(heaps[:parts/2])))
}

// The short form: all of a backlog is dispatched, within what may be in hand.
func TestDispatcherWorksThroughABacklog(t *testing.T) {
	if heaps := drain(t, 2_000, 2); len(heaps) != 2 {
		t.Errorf("%d of 2 parts have arrived", len(heaps))
	}
}

// drain lets a dispatcher work through a backlog, and returns the heap in KiB
// after each part of it.
func drain(t *testing.T, backlog, parts int) (heaps []int64) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ledger := memledger.New(memledger.Config{})
	sink := &sink{Queue: memqueue.New("partition", memqueue.Options{}), arrived: make(chan int, parts)}
	sink.each = int64(backlog / parts)
	set := normal
	set.maxBacklog = backlog
	d := dispatcher.New(dispatcher.Config{PollWait: time.Second}, dispatcher.Deps{
		Requests: &endless{Queue: memqueue.New("requests", memqueue.Options{}), left: int64(backlog)}, Partitions: []queue.Queue{sink, sink},
		Results: memqueue.New("results", memqueue.Options{}), DeadLetter: memqueue.New("dead", memqueue.Options{}),
		Ledger: ledger, Tenants: set, Policy: policy, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx, ctx)
	}()
	for range parts {
		select {
		case <-sink.arrived:
		case <-ctx.Done():
			t.Fatal("the backlog is not dispatched")
		}
		ledger.Forget() // its records are not the dispatcher's
		heaps = append(heaps, heap()>>10)
	}
	stop()
	<-done
	return heaps
}

// endless is a requests queue with a backlog, which makes each request when it
// is received.
type endless struct {
	queue.Queue
	left int64
}

func (q *endless) Receive(ctx context.Context, p queue.Poll) (ds []queue.Delivery, err error) {
	if atomic.LoadInt64(&q.left) <= 0 {
		return q.Queue.Receive(ctx, p)
	}
	atomic.AddInt64(&q.left, -int64(p.Max))
	now := time.Now()
	for range p.Max {
		id := nextID()
		tenant := "tenant-" + id[len(id)-1:]
		ds = append(ds, queue.Delivery{MessageID: id, Handle: id, Body: event(tenant, id, warmSource, 0, 0), Group: tenant,
			ReceiveCount: 1, SentAt: now, FirstAt: now, ReceivedAt: now})
	}
	return ds, nil
}

func (q *endless) Delete(_ context.Context, ds []queue.Delivery) []error {
	return make([]error, len(ds))
}

// Extend makes as many requests again as were put back. The dispatcher extends
// for nothing else.
func (q *endless) Extend(_ context.Context, ds []queue.Delivery, _ time.Duration) []error {
	atomic.AddInt64(&q.left, int64(len(ds)))
	return make([]error, len(ds))
}

func (q *endless) Depth(context.Context) (queue.Depth, error) {
	return queue.Depth{Visible: int(max(0, atomic.LoadInt64(&q.left)))}, nil
}

// sink is a partition that is empty again at once.
type sink struct {
	queue.Queue
	n, each int64
	arrived chan int // gets a value when another part has arrived
}

func (q *sink) Send(_ context.Context, ms []queue.Message) []error {
	n := atomic.AddInt64(&q.n, int64(len(ms)))
	if n/q.each != (n-int64(len(ms)))/q.each {
		select {
		case q.arrived <- 0:
		default: // a part above those that the test waits for
		}
	}
	return make([]error, len(ms))
}
