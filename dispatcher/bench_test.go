package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// BenchmarkIntake sends 500 requests of each of four tenants. Each tenant has a
// partition of its own, of which the first misbehaves. It measures the time until
// those of the other three are sent. A send to a healthy partition takes 2 ms.
func BenchmarkIntake(b *testing.B) {
	const partitions, each = 4, 500
	for _, c := range []struct {
		name  string
		fault func() error
	}{
		{"all answer", func() error { return after(2 * time.Millisecond) }},
		{"one is slow", func() error { return after(100 * time.Millisecond) }},
		{"one refuses", func() error { return errors.New("refused") }},
		{"one hangs", func() error { return errors.Join(after(30*time.Second), errors.New("refused")) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				requests, qs := benched(b, partitions, each, c.fault)
				stop := dispatching(requests, qs)
				b.StartTimer()
				late := time.Now().Add(time.Minute)
				for sentOf(qs, partitions) < (partitions-1)*each {
					<-time.After(time.Millisecond)
					if time.Now().After(late) {
						left, _ := requests.Depth(context.Background())
						b.Fatalf("%d requests of the other tenants are sent after a minute, and %+v are left", sentOf(qs, partitions), left)
					}
				}
				b.StopTimer()
				stop()
				b.StartTimer()
			}
			b.ReportMetric(float64((partitions-1)*each*b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// target is a partition that counts what was sent of each tenant.
type target struct {
	*memqueue.Queue
	mu   sync.Mutex
	sent map[string]int
}

func (q *target) Send(ctx context.Context, ms []queue.Message) []error {
	errs := q.Queue.Send(ctx, ms)
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, err := range errs {
		if err == nil {
			q.sent[ms[i].Group]++
		}
	}
	return errs
}

// sentOf counts what was sent of all tenants but the first, on whichever
// partition: at a low rate the dispatcher uses only some.
func sentOf(qs []*target, partitions int) (n int) {
	tenants := tenantsByPartition(partitions)
	for _, q := range qs {
		q.mu.Lock()
		for _, tenant := range tenants[1:] {
			n += q.sent[tenant]
		}
		q.mu.Unlock()
	}
	return n
}

// benched returns a full requests queue, with the requests of one tenant for
// each partition in turn, and the partitions.
func benched(b *testing.B, partitions, each int, fault func() error) (*memqueue.Queue, []*target) {
	requests := memqueue.New("requests", memqueue.Options{})
	tenants := tenantsByPartition(partitions)
	for i := range each {
		for _, tenant := range tenants {
			body, err := ask(fmt.Sprint(i), of(tenant)).Encode()
			if err != nil {
				b.Fatal(err)
			}
			if err := errors.Join(requests.Send(context.Background(), []queue.Message{{Body: body}})...); err != nil {
				b.Fatal(err)
			}
		}
	}
	qs := make([]*target, partitions)
	for p := range qs {
		qs[p] = &target{sent: map[string]int{}, Queue: memqueue.New(fmt.Sprint("partition-", p), memqueue.Options{Faults: memqueue.Faults{
			Call: func(op memqueue.Op, _ int) error {
				switch {
				case op != memqueue.OpSend:
					return nil
				case p == 0:
					return fault()
				}
				return after(2 * time.Millisecond)
			},
		}})}
	}
	return requests, qs
}

// dispatching runs a dispatcher until stop is called.
func dispatching(requests *memqueue.Queue, qs []*target) (stop func()) {
	partitions := make([]queue.Queue, len(qs))
	for p := range qs {
		partitions[p] = qs[p]
	}
	d := dispatcher.New(dispatcher.Config{PollWait: 10 * time.Millisecond}, dispatcher.Deps{
		Requests: requests, Partitions: partitions,
		Results: memqueue.New("results", memqueue.Options{}), DeadLetter: memqueue.New("dlq", memqueue.Options{}),
		Ledger: memledger.New(memledger.Config{}), Tenants: oneEach{}, Policy: inmemory.Policy,
		Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx, ctx) })
	return func() { cancel(); wg.Wait() }
}

func after(d time.Duration) error {
	<-time.After(d)
	return nil
}
