package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// bench is one dispatcher with in-memory parts, in a bubble of
// testing/synctest.
type bench struct {
	*testing.T
	d                                       *dispatcher.Dispatcher
	requests, results, dead, side           *memqueue.Queue
	partitions                              []*memqueue.Queue
	requestFaults, resultFaults, deadFaults *inmemory.Faults
	partitionFaults                         faultsOfAll
	ledger                                  *inmemory.Ledger
	metrics                                 *prometheus.Registry
	logs                                    *observer.ObservedLogs
	unknown                                 string // a tenant that is refused
	cursed                                  string // a tenant whose requests make our code panic
	shard, backlog                          int

	*inmemory.Running
}

func with(t *testing.T, test func(*bench)) {
	t.Helper()
	withConfig(t, dispatcher.Config{}, test)
}

func withConfig(t *testing.T, cfg dispatcher.Config, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cfg)
		b.start()
		defer func() { b.Stop() }()
		synctest.Wait() // the depths are read
		test(b)
	})
}

func newBench(t *testing.T, cfg dispatcher.Config, change ...func(*dispatcher.Deps)) *bench {
	b := &bench{
		T: t, requestFaults: &inmemory.Faults{}, resultFaults: &inmemory.Faults{}, deadFaults: &inmemory.Faults{},
		ledger: inmemory.NewLedger(), metrics: prometheus.NewRegistry(), shard: 2, backlog: 1000,
	}
	b.requests = b.requestFaults.Queue("requests")
	b.results = b.resultFaults.Queue("results")
	b.dead = b.deadFaults.Queue("dlq")
	b.side = memqueue.New("side", memqueue.Options{})
	var partitions []queue.Queue
	for i := range 4 {
		f := &inmemory.Faults{}
		b.partitionFaults = append(b.partitionFaults, f)
		q := f.Queue(fmt.Sprint("partition-", i))
		b.partitions, partitions = append(b.partitions, q), append(partitions, q)
	}
	core, logs := observer.New(zap.InfoLevel)
	b.logs = logs
	deps := dispatcher.Deps{
		Turns:    func() int { return 10_000 }, // so that only the tenants' own budgets are short
		Requests: b.requests, Partitions: partitions, Side: b.side, Results: b.results, DeadLetter: b.dead,
		Ledger: b.ledger, Tenants: b, Policy: inmemory.Policy, Log: zap.New(core), Registerer: b.metrics,
	}
	for _, c := range change {
		c(&deps)
	}
	b.d = dispatcher.New(cfg, deps)
	return b
}

// refuse is a fault that fails an operation.
func refuse(what memqueue.Op) func(memqueue.Op, int) error {
	return func(op memqueue.Op, _ int) error {
		if op == what {
			return errors.New("refused")
		}
		return nil
	}
}

func (b *bench) start() { b.Running = inmemory.Run(b.T, b.d.Run) }

func (b *bench) Admit(tenant string) *run.Error {
	if tenant == b.cursed {
		panic("a fault of our own")
	}
	if tenant == b.unknown {
		return &run.Error{Owner: run.OwnerOperator, Type: "UnknownTenant", Message: "its operator adds it"}
	}
	return nil
}

func (b *bench) Limits(string) tenant.Limits {
	return tenant.Limits{Partitions: b.shard, MaxBacklog: b.backlog, MaxRunning: tenant.NoCap}
}

func ask(id string, change ...func(*run.Request)) run.Request {
	r := run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/stories/one", ID: id, Tenant: "acme",
		Data: run.RequestData{Script: "def main(input): return input"},
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func cancelling(id, of string) run.Request {
	return ask(id, func(r *run.Request) { r.Type, r.Data = run.TypeCancelled, run.RequestData{Run: of} })
}

func key(id string) run.Key { return run.KeyOf("acme", "/stories/one", id) }

func (b *bench) send(rs ...run.Request) {
	b.Helper()
	for _, r := range rs {
		body, err := r.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.sendBody(body)
	}
	synctest.Wait()
}

func (b *bench) sendBody(body []byte) {
	b.Helper()
	b.sendAll(body)
}

// sendAll sends requests without a pause between them.
func (b *bench) sendAll(bodies ...[]byte) {
	b.Helper()
	ms := make([]queue.Message, len(bodies))
	for i := range bodies {
		ms[i].Body = bodies[i]
	}
	if err := errors.Join(b.requests.Send(context.Background(), ms)...); err != nil {
		b.Fatal(err)
	}
	time.Sleep(4 * batch.OnTheWay) // what comes together lingers
	synctest.Wait()
}

// take empties a queue.
func (b *bench) take(q *memqueue.Queue) (all []queue.Delivery) {
	b.Helper()
	for {
		ds, err := q.Receive(context.Background(), queue.Poll{Max: 10, Visibility: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		if len(ds) == 0 {
			return all
		}
		all = append(all, ds...)
	}
}

func (b *bench) sent() (all []queue.Delivery) {
	b.Helper()
	for _, q := range b.partitions {
		all = append(all, b.take(q)...)
	}
	return all
}

// settle waits until the batched notes and deletes are sent.
func settle() {
	time.Sleep(600 * time.Millisecond)
	synctest.Wait()
}

func (b *bench) nothingLeft() {
	b.Helper()
	settle()
	if d, err := b.requests.Depth(context.Background()); err != nil || d.Total() != 0 {
		b.Errorf("the requests queue holds %+v, %v", d, err)
	}
}

// answers receives the results.
func (b *bench) answers(want int) (all []run.Result) {
	b.Helper()
	ds := b.take(b.results)
	if len(ds) != want {
		b.Fatalf("%d results, want %d", len(ds), want)
	}
	for _, d := range ds {
		res, err := run.DecodeResult(d.Body)
		if err != nil {
			b.Fatal(err)
		}
		if d.Attributes[run.AttributeTenant] != res.Tenant || d.Attributes[run.AttributeStatus] != string(res.Data.Status) || d.Group != res.Tenant {
			b.Errorf("attributes %v of group %q for %s", d.Attributes, d.Group, d.Body)
		}
		all = append(all, res)
	}
	return all
}

// faultsOfAll are the partitions' faults, in order; its methods change all of
// them.
type faultsOfAll []*inmemory.Faults

func (all faultsOfAll) OnCall(do func(memqueue.Op, int) error) {
	for _, f := range all {
		f.OnCall(do)
	}
}

func (all faultsOfAll) OnEntry(do func(memqueue.Op, int) error) {
	for _, f := range all {
		f.OnEntry(do)
	}
}

// oneEach gives each tenant one partition, and no limit of its backlog.
type oneEach struct{}

func (oneEach) Admit(string) *run.Error { return nil }
func (oneEach) Limits(string) tenant.Limits {
	return tenant.Limits{Partitions: 1, MaxBacklog: 1 << 30, MaxRunning: tenant.NoCap}
}
