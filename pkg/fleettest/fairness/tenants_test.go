package fairness

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/worker"
)

var perTenant = flag.Bool("tenants", false, "measure what tenants cost, and print the table (make bench-tenants)")

// TestTenantsAreServedHoweverMany is the short form: all runs end.
func TestTenantsAreServedHoweverMany(t *testing.T) {
	f := openInMemory(t, population{tenants: 500, scripts: 500})
	f.slice(t, 2_000)
	f.close()
}

// TestTenants measures. The same number of runs is spread over more and more
// tenants, each with one built script, in slices of 5,000 that the processes
// serve in turn: what else the machine does affects all of them. The growth is
// the median over the rounds of a slice's CPU over that of ten tenants.
func TestTenants(t *testing.T) {
	if !*perTenant {
		return // the short form is above
	}
	const slice, rounds = 5_000, 11
	counts := []int{10, 1_000, 100_000}
	var served []*served
	for _, n := range counts {
		c := serve(t, population{tenants: n, scripts: n})
		c.slice(2 * slice) // pays for everything that is made once
		served = append(served, c)
	}
	costs, growths := make([][]float64, len(counts)), make([][]float64, len(counts))
	for range rounds {
		for i, c := range served {
			costs[i] = append(costs[i], c.slice(slice))
			growths[i] = append(growths[i], last(costs[i])/last(costs[0]))
		}
	}
	fmt.Printf("\n%d slices of %d runs, in turn\n\n%10s %12s %10s %16s %16s\n", rounds, slice, "tenants", "CPU µs/run", "growth", "heap KiB", "bytes a tenant")
	var base int64
	for i, n := range counts {
		heap := served[i].end()
		if i == 0 {
			base = heap
		}
		fmt.Printf("%10d %12.1f %9.1f%% %16d %16.0f\n", n, median(costs[i]), 100*(median(growths[i])-1), heap>>10, float64(heap-base)/float64(n))
	}
	figures.Record(t, "tenants.cpu", median(growths[len(counts)-1]))
}

func last(of []float64) float64 { return of[len(of)-1] }

// median sorts a copy.
func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// population is how many tenants and scripts send runs in turn.
type population struct{ tenants, scripts int }

// inMemory is a dispatcher and a worker with everything else in memory.
type inMemory struct {
	requests, results queue.Queue
	ledger            *memledger.Ledger
	senders           []sender
	sent              int
	close             func() (heap int64) // bytes that dispatcher, worker and builder kept
}

type sender struct{ tenant, source string }

// openInMemory starts them, and makes the worker know all scripts.
func openInMemory(t *testing.T, of population) *inMemory {
	ctx, stop := context.WithCancel(t.Context())
	requests, results := memqueue.New("requests", memqueue.Options{}), memqueue.New("results", memqueue.Options{})
	dead := memqueue.New("dead", memqueue.Options{})
	var partitionsOf []queue.Queue
	for i := range partitions {
		partitionsOf = append(partitionsOf, memqueue.New(fmt.Sprint("p", i), memqueue.Options{}))
	}
	ledger, set := memledger.New(memledger.Config{}), normal
	set.maxBacklog = 10_000
	d := dispatcher.New(dispatcher.Config{PollWait: time.Second}, dispatcher.Deps{
		Requests: requests, Partitions: partitionsOf, Results: results, DeadLetter: dead,
		Ledger: ledger, Tenants: set, Policy: policy, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	reg := prometheus.NewRegistry()
	records := &allBuilt{}
	b := builds.New(builds.Config{Worker: "w", MaxBuilds: 16}, builds.Deps{
		Records: records, Layers: none{}, Packager: none{}, Log: zap.NewNop(), Registerer: reg,
	})
	w := worker.New(worker.Config{Name: "w", PollWait: time.Second}, worker.Deps{
		Partitions: partitionsOf, Results: results, DeadLetter: dead, Ledger: ledger, Builds: b, Functions: instant{},
		Credentials: none{}, Tenants: set, Slots: memslot.New(), Policy: policy, Log: zap.NewNop(), Registerer: reg,
	})
	f := &inMemory{requests: requests, results: results, ledger: ledger, senders: warm(t, b, records, of)}
	var all sync.WaitGroup
	all.Go(func() { _ = d.Run(ctx, ctx) })
	all.Go(func() { _ = w.Run(ctx, ctx) })
	f.close = func() int64 {
		// Every second the dispatcher reads the backlogs, and drops idle tenants.
		inmemory.Await(ctx, 2500*time.Millisecond)
		with := heap()
		stop()
		all.Wait()
		_ = b.Close(ctx)
		d, w, b = nil, nil, nil // else this function would keep them
		kept := with - heap()
		runtime.KeepAlive([]any{f, dead, partitionsOf})
		return kept
	}
	return f
}

// slice serves that many runs, and returns the CPU time of the process for each.
func (f *inMemory) slice(t *testing.T, runs int) time.Duration {
	f.ledger.Forget() // it is not what is measured, and would grow
	before := processCPU(t)
	f.pass(t, runs)
	return (processCPU(t) - before) / time.Duration(runs)
}

// allBuilt are build records in which every requested script is built, so that
// the memory of records and functions does not count.
type allBuilt struct {
	builds.Records
	function atomic.Value // of the requested script
}

func (r *allBuilt) Get(context.Context, string) (builds.Record, bool, error) {
	return builds.Record{ARN: r.function.Load().(string), Fence: 1}, true, nil
}

// warm makes the worker know every script.
func warm(t *testing.T, b *builds.Builder, records *allBuilt, of population) []sender {
	senders := make([]sender, of.scripts)
	for i := range senders {
		senders[i] = sender{fmt.Sprint("tenant-", i%of.tenants), fmt.Sprintf("%s # %d", warmSource, i/of.tenants)}
		r, refused := policy.Decode(event(senders[i].tenant, "warm", senders[i].source, 0, 0), time.Now())
		if refused != nil {
			t.Fatal(refused)
		}
		records.function.Store(run.FunctionName("scriptfleet", r.Tenant, r.Script.Hash))
		if _, err := b.Ensure(t.Context(), r.Script, builds.ForRun); err != nil {
			t.Fatal(err)
		}
	}
	return senders
}

// pass sends the runs, at most a few thousand ahead of their results, and
// receives the results.
func (f *inMemory) pass(t *testing.T, runs int) {
	const ahead = 2000
	tokens := make(chan struct{}, ahead)
	var taken atomic.Int64
	var consumers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 2 {
		consumers.Go(func() {
			for int(taken.Load()) < runs && ctx.Err() == nil {
				ds, err := f.results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: 50 * time.Millisecond, Visibility: time.Minute})
				if err != nil {
					return
				}
				f.results.Delete(ctx, ds)
				taken.Add(int64(len(ds)))
				for range ds {
					select {
					case <-tokens:
					default: // a result that came twice
					}
				}
			}
		})
	}
	for i := 0; i < runs; i += queue.MaxBatch {
		var ms []queue.Message
		for range queue.MaxBatch {
			s := f.senders[f.sent%len(f.senders)]
			f.sent++
			ms = append(ms, queue.Message{Body: event(s.tenant, nextID(), s.source, 0, 0), Group: s.tenant})
			tokens <- struct{}{}
		}
		if i := slices.IndexFunc(f.requests.Send(ctx, ms), func(err error) bool { return err != nil }); i >= 0 {
			t.Fatal("a request could not be sent")
		}
	}
	consumers.Wait()
}

// instant is a function service without latency.
type instant struct{}

func (instant) Invoke(context.Context, string, string, []byte) (function.Invocation, error) {
	return function.Invocation{RequestID: "r", Payload: []byte(`{"output": null, "error": null, "stdout": "", "stderr": "", "truncated": false}`)}, nil
}

var _ worker.Tenants = settings{}
var _ dispatcher.Tenants = settings{}

// processCPU is the CPU time of this process so far.
func processCPU(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is the size of the heap after a collection, in bytes.
func heap() int64 {
	for range 3 { // a pool is emptied by the second collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
