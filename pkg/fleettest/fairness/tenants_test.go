package fairness

import (
	"context"
	"flag"
	"fmt"
	"math"
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
	spread(t, 500, 2_000)
}

// TestTenants measures. The same number of runs is spread over more and more
// tenants, each with one built script. The memory for tenants is the heap that
// becomes free when dispatcher, worker and builder are released and everything
// else stays.
func TestTenants(t *testing.T) {
	if !*perTenant {
		return // the short form is above
	}
	const runs, times = 100_000, 2
	counts := []int{10, 1_000, 100_000}
	costs := map[int]cost{}
	spread(t, 10, runs/10) // pays for everything that is made once
	for range times {
		for _, n := range counts { // in turn, so that other load of the machine affects all
			c := spread(t, n, runs)
			t.Logf("%d tenants: %.1f µs a run, %d KiB", n, float64(c.cpu.Nanoseconds())/1000, c.heap>>10)
			if best, ok := costs[n]; ok {
				c.cpu, c.heap = min(c.cpu, best.cpu), min(c.heap, best.heap)
			}
			costs[n] = c
		}
	}
	fmt.Printf("\n%d runs, %d times in turn; CPU is that of the cheapest %d runs\n\n", runs, times, slice)
	fmt.Printf("%10s %12s %10s %16s %16s\n", "tenants", "CPU µs/run", "growth", "heap KiB", "bytes a tenant")
	base := costs[counts[0]]
	for _, n := range counts {
		c := costs[n]
		fmt.Printf("%10d %12.1f %9.1f%% %16d %16.0f\n", n, float64(c.cpu.Nanoseconds())/1000,
			100*(float64(c.cpu)/float64(base.cpu)-1), c.heap>>10, float64(c.heap-base.heap)/float64(n))
	}
}

// slice is how many runs are measured at a time. Other load of the machine
// makes runs more expensive, never cheaper, so the cheapest slice is used.
const slice = 5_000

// cost is the cost of some runs.
type cost struct {
	cpu  time.Duration // of the process per run, in the cheapest slice
	heap int64         // bytes that dispatcher, worker and builder keep after the runs
}

// spread lets a dispatcher and a worker serve the runs of that many tenants.
func spread(t *testing.T, tenants, runs int) cost {
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
	names := warm(t, b, records, tenants)
	var all sync.WaitGroup
	all.Go(func() { _ = d.Run(ctx, ctx) })
	all.Go(func() { _ = w.Run(ctx, ctx) })

	c := cost{cpu: math.MaxInt64}
	for from := 0; from < runs; from += slice {
		before := processCPU(t)
		pass(t, requests, results, names, from, min(slice, runs-from))
		c.cpu = min(c.cpu, (processCPU(t)-before)/time.Duration(min(slice, runs-from)))
	}
	// Every second the dispatcher reads the backlogs, and drops idle tenants.
	await(ctx, 2500*time.Millisecond)
	with := heap()
	stop()
	all.Wait()
	_ = b.Close(ctx)
	runtime.KeepAlive(d)
	runtime.KeepAlive(w)
	runtime.KeepAlive(b)
	c.heap = with - heap()
	runtime.KeepAlive([]any{requests, results, dead, partitionsOf, ledger, names})
	return c
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

// warm makes the worker know the script of every tenant.
func warm(t *testing.T, b *builds.Builder, records *allBuilt, tenants int) []string {
	names := make([]string, tenants)
	for i := range names {
		names[i] = fmt.Sprint("tenant-", i)
		r, refused := policy.Decode(event(names[i], "warm", warmSource, 0, 0), time.Now())
		if refused != nil {
			t.Fatal(refused)
		}
		records.function.Store(run.FunctionName("scriptfleet", names[i], r.Script.Hash))
		if _, err := b.Ensure(t.Context(), r.Script, builds.ForRun); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// pass sends the runs, at most a few thousand ahead of their results, and
// receives the results.
func pass(t *testing.T, requests, results queue.Queue, names []string, from, runs int) {
	const ahead = 2000
	tokens := make(chan struct{}, ahead)
	var taken atomic.Int64
	var consumers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 2 {
		consumers.Go(func() {
			for int(taken.Load()) < runs && ctx.Err() == nil {
				ds, err := results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: 50 * time.Millisecond, Visibility: time.Minute})
				if err != nil {
					return
				}
				results.Delete(ctx, ds)
				taken.Add(int64(len(ds)))
				for range ds {
					<-tokens
				}
			}
		})
	}
	for i := 0; i < runs; i += queue.MaxBatch {
		var ms []queue.Message
		for j := range queue.MaxBatch {
			name := names[(from+i+j)%len(names)]
			ms = append(ms, queue.Message{Body: event(name, nextID(), warmSource, 0, 0), Group: name})
			tokens <- struct{}{}
		}
		if i := slices.IndexFunc(requests.Send(ctx, ms), func(err error) bool { return err != nil }); i >= 0 {
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
