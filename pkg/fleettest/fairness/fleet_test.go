package fairness

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

const (
	partitions  = 8
	workers     = 2
	concurrency = 32 // turns of each worker: the default
)

// settings of a fleet: the limits of its tenants, and the mechanisms that are
// off.
type settings struct {
	shard, maxRunning, maxBacklog int
	weight                        int
	maxBuilds                     int
	reserve                       *int
	ungrouped, strangers, noSide  bool
	workers                       int
	pollWait                      time.Duration
	near                          bool // SQS is as far away as it is
	runners                       bool // new scripts run in env runners
}

var normal = settings{
	shard: 2, maxRunning: 16, maxBacklog: 500, weight: 1, maxBuilds: 4, workers: workers, pollWait: 2 * time.Second,
}

// Admit and Limits implement the operator's settings, the same for all tenants.
func (s settings) Admit(string) *run.Error { return nil }
func (s settings) Limits(string) tenant.Limits {
	return tenant.Limits{
		MaxRunning: s.maxRunning, MaxRunningPerScript: tenant.NoCap, Weight: s.weight,
		MaxBacklog: s.maxBacklog, Partitions: s.shard,
	}
}

// fleet is a dispatcher and its workers.
type fleet struct {
	settings
	prefix    string
	requests  queue.Queue
	functions *memfunction.Functions
	builders  []*builds.Builder
	begun     *begun
	creating  atomic.Int64 // duration of a function's creation, in nanoseconds
	calls     atomic.Int64 // of SQS
	received  atomic.Int64 // deliveries from the partitions
	stop      context.CancelFunc
	running   sync.WaitGroup
}

var fleets atomic.Int64

// open starts a fleet with its own queues and keys.
func (s *site) open(t *testing.T, set settings) *fleet {
	f := &fleet{settings: set, prefix: fmt.Sprint("f", fleets.Add(1)), begun: newBegun()}
	names := queue.NamesOf(f.prefix, partitions)
	if err := sqsqueue.Ensure(t.Context(), s.sqs, names); err != nil {
		t.Fatal(err)
	}
	open := func(name string) queue.Queue {
		q, err := sqsqueue.Open(t.Context(), s.sqs, name)
		if err != nil {
			t.Fatal(err)
		}
		if set.near {
			return q
		}
		return &distant{inmemory.Distant{Queue: q, Takes: callTakes, Called: func() { f.calls.Add(1) }}, set.ungrouped, set.strangers}
	}
	f.functions = memfunction.New(memfunction.Config{Pending: 700 * time.Millisecond, Behave: f.behave})
	f.requests = open(names.Requests)
	var parts []queue.Queue
	for _, name := range names.Partitions {
		parts = append(parts, &received{open(name), &f.received})
	}
	var side queue.Queue
	if !set.noSide {
		side = &received{open(names.Side), &f.received}
	}
	results, requestsDead, dead := open(names.Results), open(names.RequestsDLQ), open(names.PartitionDLQ)

	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	kept := s.parts(f.prefix)
	d := dispatcher.New(dispatcher.Config{PollWait: set.pollWait}, dispatcher.Deps{
		Requests: f.requests, Partitions: parts, Side: side, Results: results, DeadLetter: requestsDead,
		Turns:  func() int { return set.workers * concurrency },
		Ledger: kept.ledger, Tenants: set, Policy: policy, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	f.running.Go(func() { _ = d.Run(ctx, ctx) })
	for i := range set.workers {
		name, reg := fmt.Sprint("worker-", i), prometheus.NewRegistry()
		builds := builds.New(builds.Config{Prefix: f.prefix, Worker: name, MaxBuilds: set.maxBuilds}, builds.Deps{
			Leases: kept.leases, Records: kept.records, Limiter: kept.limiter,
			Maker: f.functions, Layers: none{}, Packager: none{}, Log: zap.NewNop(), Registerer: reg,
		})
		f.builders = append(f.builders, builds)
		w := worker.New(worker.Config{
			Name: name, Concurrency: concurrency, Reserve: set.reserve, PollWait: set.pollWait, EnvRunner: set.runners,
		}, worker.Deps{
			Partitions: parts, Side: side, Results: results, DeadLetter: dead,
			Ledger: kept.ledger, Builds: builds, Functions: f.functions, Credentials: none{}, Tenants: set,
			Slots: kept.slots, Policy: policy, Log: zap.NewNop(), Registerer: reg,
		})
		f.running.Go(func() {
			_ = w.Run(ctx, ctx)
			_ = builds.Close(ctx)
		})
	}
	return f
}

// close ends the fleet at once; messages stay on its queues.
func (f *fleet) close() {
	f.stop()
	f.running.Wait()
}

// known builds the function of a tenant's script, and the env runner, and makes
// every worker know that.
func (f *fleet) known(t *testing.T, tenant, source string) {
	r, refused := policy.Decode(event(tenant, "warm", source, -1, 0), time.Now())
	if refused != nil {
		t.Fatal(refused)
	}
	f.knownScript(t, r.Script)
	if runner, ok := policy.Runner(r.Script); ok && f.runners {
		f.knownScript(t, runner)
	}
}

func (f *fleet) knownScript(t *testing.T, s run.Script) {
	name := run.FunctionName(f.prefix, s.Tenant, s.Hash)
	if err := f.functions.Create(t.Context(), function.Spec{Name: name}); err != nil {
		t.Fatal(err)
	}
	f.functions.SetState(name, memfunction.Active)
	for _, b := range f.builders {
		if _, err := b.Ensure(t.Context(), s, builds.ForRun); err != nil {
			t.Fatal(err)
		}
	}
}

// behave decides how a call of Lambda goes.
func (f *fleet) behave(c memfunction.Call) memfunction.Behaviour {
	switch c.Op {
	case "Create":
		return memfunction.Behaviour{Duration: time.Duration(f.creating.Load())}
	case "Invoke":
		var call struct {
			Input struct{ N, MS int } `json:"input"`
		}
		if err := json.Unmarshal(c.Payload, &call); err != nil {
			panic(err)
		}
		f.begun.note(call.Input.N, time.Now())
		return memfunction.Behaviour{Duration: time.Duration(call.Input.MS) * time.Millisecond}
	}
	return memfunction.Behaviour{}
}

// none provides no layers, packages or credentials: the runs here need none.
type none struct{}

func (none) Build(context.Context, run.Script) ([]byte, []run.Package, string, error) {
	return nil, nil, "", nil
}
func (none) Pack(_ context.Context, s run.Script) ([]byte, error) { return []byte(s.Source), nil }
func (none) Assume(context.Context, run.Run) function.Credentials {
	return function.Credentials{}
}
