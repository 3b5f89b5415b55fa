package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

var policy = func() *run.Policy {
	p, err := run.NewPolicy(run.PolicyConfig{Handler: "h1"})
	if err != nil {
		panic(err)
	}
	return p
}()

// bench is one dispatcher on parts in memory, in a bubble of its own time.
type bench struct {
	*testing.T
	d                                       *dispatcher.Dispatcher
	requests, results, dead, side           *memqueue.Queue
	partitions                              []*memqueue.Queue
	requestFaults, resultFaults, deadFaults *faults
	partitionFaults                         faultsOfAll
	ledger                                  *faultyLedger
	metrics                                 *prometheus.Registry
	logs                                    *observer.ObservedLogs
	unknown                                 string // tenant that is refused
	cursed                                  string // tenant that our own code fails on
	shard, backlog                          int

	stopIntake, stopWork context.CancelFunc
	over                 chan struct{}
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
		defer func() { b.stop() }()
		synctest.Wait() // it has looked at the queues
		test(b)
	})
}

func newBench(t *testing.T, cfg dispatcher.Config) *bench {
	b := &bench{
		T: t, requestFaults: &faults{}, resultFaults: &faults{}, deadFaults: &faults{},
		ledger: &faultyLedger{Ledger: memledger.New(memledger.Config{})}, metrics: prometheus.NewRegistry(), shard: 2, backlog: 1000,
	}
	b.requests = memqueue.New("requests", b.requestFaults.options())
	b.results = memqueue.New("results", b.resultFaults.options())
	b.dead = memqueue.New("dlq", b.deadFaults.options())
	b.side = memqueue.New("side", memqueue.Options{})
	var partitions []queue.Queue
	for i := range 4 {
		f := &faults{}
		b.partitionFaults = append(b.partitionFaults, f)
		q := memqueue.New(fmt.Sprint("partition-", i), f.options())
		b.partitions, partitions = append(b.partitions, q), append(partitions, q)
	}
	core, logs := observer.New(zap.InfoLevel)
	b.logs = logs
	b.d = dispatcher.New(cfg, dispatcher.Deps{
		Requests: b.requests, Partitions: partitions, Side: b.side, Results: b.results, DeadLetter: b.dead,
		Ledger: b.ledger, Tenants: b, Policy: policy, Log: zap.New(core), Registerer: b.metrics,
	})
	return b
}

// refuse fails an operation.
func refuse(what memqueue.Op) func(memqueue.Op, int) error {
	return func(op memqueue.Op, _ int) error {
		if op == what {
			return errors.New("refused")
		}
		return nil
	}
}

func (b *bench) start() {
	var intake, work context.Context
	intake, b.stopIntake = context.WithCancel(context.Background())
	work, b.stopWork = context.WithCancel(context.Background())
	b.over = make(chan struct{})
	go func() {
		defer close(b.over)
		if err := b.d.Run(intake, work); err != nil {
			b.Error(err)
		}
	}()
}

func (b *bench) stop() {
	b.stopIntake()
	b.stopWork()
	<-b.over
}

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
	return tenant.Limits{Partitions: b.shard, MaxBacklog: b.backlog}
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

// sendAll leaves the dispatcher no time between two requests.
func (b *bench) sendAll(bodies ...[]byte) {
	b.Helper()
	ms := make([]queue.Message, len(bodies))
	for i := range bodies {
		ms[i].Body = bodies[i]
	}
	if err := errors.Join(b.requests.Send(context.Background(), ms)...); err != nil {
		b.Fatal(err)
	}
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

func (b *bench) nothingLeft() {
	b.Helper()
	if d, err := b.requests.Depth(context.Background()); err != nil || d.Total() != 0 {
		b.Errorf("the requests queue holds %+v, %v", d, err)
	}
}

// answers takes the results.
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

// faultyLedger fails the calls that a test names.
type faultyLedger struct {
	*memledger.Ledger
	mu        sync.Mutex
	failing   string
	delay     time.Duration // of each call
	panicking bool          // where it is asked for a claim
}

func (l *faultyLedger) slow(delay time.Duration) {
	l.mu.Lock()
	l.delay = delay
	l.mu.Unlock()
}

func (l *faultyLedger) fail(op string) {
	l.mu.Lock()
	l.failing = op
	l.mu.Unlock()
}

func (l *faultyLedger) before(op string) error {
	l.mu.Lock()
	delay := l.delay
	l.mu.Unlock()
	time.Sleep(delay)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing == op || l.failing == "all" {
		return fmt.Errorf("%w: a test says so", ledger.ErrUnavailable)
	}
	return nil
}

func (l *faultyLedger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	if err := l.before("accept"); err != nil {
		return nil, err
	}
	return l.Ledger.Accept(ctx, es)
}

func (l *faultyLedger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	if l.panicking {
		panic("a fault of the ledger's")
	}
	if err := l.before("claim"); err != nil {
		return nil, err
	}
	return l.Ledger.Claim(ctx, cs, ttl)
}

func (l *faultyLedger) Published(ctx context.Context, keys []run.Key) error {
	if err := l.before("published"); err != nil {
		return err
	}
	return l.Ledger.Published(ctx, keys)
}

// oneEach gives each tenant one partition, and no bound of its backlog.
type oneEach struct{}

func (oneEach) Admit(string) *run.Error     { return nil }
func (oneEach) Limits(string) tenant.Limits { return tenant.Limits{Partitions: 1, MaxBacklog: 1 << 30} }
