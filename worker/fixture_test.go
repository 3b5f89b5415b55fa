package worker_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

// bench is one worker with in-memory parts, in a bubble of testing/synctest.
type bench struct {
	*testing.T
	w                        *worker.Worker
	partition, results, dead *memqueue.Queue
	side                     *memqueue.Queue
	queueFaults              *inmemory.Faults // of the partition
	resultFaults, deadFaults *inmemory.Faults
	ledger                   *inmemory.Ledger
	functions                *memfunction.Functions
	builds                   *fakeBuilder
	slots                    *memslot.Slots
	limits                   tenant.Limits
	load                     run.Load     // that of the runs that are put on the partition
	settings                 *tenant.File // replaces limits if not nil
	metrics                  *prometheus.Registry
	logs                     *observer.ObservedLogs             // warnings and errors
	panicking                struct{ limits, credentials bool } // for the tenant cursed

	*inmemory.Running
}

// with runs a test with a running worker, and stops the worker at the end.
func with(t *testing.T, cfg worker.Config, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cfg)
		b.start()
		defer func() { b.Stop() }()
		test(b)
	})
}

func newBench(t *testing.T, cfg worker.Config, change ...func(*worker.Deps)) *bench {
	b := &bench{
		T: t, queueFaults: &inmemory.Faults{}, resultFaults: &inmemory.Faults{}, deadFaults: &inmemory.Faults{},
		ledger: inmemory.NewLedger(), builds: newFakeBuilder(), slots: memslot.New(),
		functions: memfunction.New(memfunction.Config{}), metrics: prometheus.NewRegistry(),
		limits: tenant.Limits{MaxRunning: tenant.NoCap, MaxRunningPerScript: tenant.NoCap, Weight: 1},
		load:   run.Busy,
	}
	b.partition = b.queueFaults.Queue("partition")
	b.side = memqueue.New("side", memqueue.Options{})
	b.results = b.resultFaults.Queue("results")
	b.dead = b.deadFaults.Queue("dlq")
	if cfg.Name == "" {
		cfg.Name = "w"
	}
	log, logs := observer.New(zap.WarnLevel)
	b.logs = logs
	deps := worker.Deps{
		Partitions: []queue.Queue{b.partition}, Side: b.side, Results: b.results, DeadLetter: b.dead,
		Ledger: b.ledger, Builds: b.builds, Functions: b.functions, Credentials: b, Slots: b.slots, Tenants: b,
		Policy: inmemory.Policy, Log: zap.New(log), Registerer: b.metrics,
	}
	for _, c := range change {
		c(&deps)
	}
	b.w = worker.New(cfg, deps)
	return b
}

func (b *bench) start() { b.Running = inmemory.Run(b.T, b.w.Run) }

func (b *bench) Limits(name string) tenant.Limits {
	if b.panicking.limits && name == "cursed" {
		panic("limits")
	}
	if b.settings != nil {
		return b.settings.Limits(name)
	}
	return b.limits
}

func (b *bench) Assume(_ context.Context, r run.Run) function.Credentials {
	if b.panicking.credentials && r.Tenant == "cursed" {
		panic("credentials")
	}
	return function.Credentials{Success: true, AccessKeyID: r.Tenant + "/" + r.Data.Credential}
}

// ask makes a request.
func ask(id string, change ...func(*run.Request)) run.Request {
	input, _ := json.Marshal(map[string]string{"run": id})
	r := run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/stories/one", ID: id, Tenant: "acme",
		Data: run.RequestData{Script: "def main(input): return input", TimeoutSeconds: 60, Input: input},
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func atMostOnce(r *run.Request) { r.Data.Delivery = run.AtMostOnce }

func script(source string) func(*run.Request) {
	return func(r *run.Request) { r.Data.Script = source }
}

func expiring(in time.Duration) func(*run.Request) {
	at := time.Now().Add(in)
	return func(r *run.Request) { r.Data.ExpiresAt = &at }
}

// send puts requests on the partition, as a dispatcher does, with their
// functions built.
func (b *bench) send(rs ...run.Request) {
	b.Helper()
	for _, r := range rs {
		admitted := decode(b.T, r)
		name := run.FunctionName("sim", r.Tenant, admitted.Script.Hash)
		_ = b.functions.Create(context.Background(), function.Spec{Name: name, TimeoutSeconds: 60})
		b.accept(r)
		b.put(r)
	}
}

func (b *bench) accept(r run.Request) {
	b.Helper()
	if _, err := b.ledger.Ledger.Accept(context.Background(), []ledger.Entry{ledger.EntryOf(decode(b.T, r))}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) put(r run.Request) {
	b.Helper()
	body, err := r.Encode()
	if err != nil {
		b.Fatal(err)
	}
	if err := b.partition.Send(context.Background(), []queue.Message{{Body: body, Group: r.Tenant, Attributes: run.Carry(time.Now(), b.load)}})[0]; err != nil {
		b.Fatal(err)
	}
}

func decode(t *testing.T, r run.Request) run.Run {
	t.Helper()
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	admitted, refused := inmemory.Policy.Decode(body, time.Now())
	if refused != nil {
		t.Fatal(refused)
	}
	return admitted
}

// result waits for the next result.
func (b *bench) result() run.Result {
	b.Helper()
	for range 1000 {
		if res := b.anyResult(20 * time.Second); res != nil {
			return *res
		}
	}
	b.Fatal("no result came")
	return run.Result{}
}

func (b *bench) anyResult(within time.Duration) *run.Result {
	b.Helper()
	ds, err := b.results.Receive(context.Background(), queue.Poll{Max: 1, Wait: within, Visibility: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	if len(ds) == 0 {
		return nil
	}
	b.results.Delete(context.Background(), ds)
	res, err := run.DecodeResult(ds[0].Body)
	if err != nil {
		b.Fatal(err)
	}
	return &res
}

// want waits for the next result and compares it.
func (b *bench) want(id string, status run.Status, attempt int) run.Result {
	b.Helper()
	res := b.result()
	if res.Subject != id || res.Data.Status != status || res.Data.Attempt != attempt {
		b.Errorf("the result of %s is %s at attempt %d, %v; want %s of %s at attempt %d",
			res.Subject, res.Data.Status, res.Data.Attempt, res.Data.Error, status, id, attempt)
	}
	return res
}

func (b *bench) noMore(within time.Duration) {
	b.Helper()
	if res := b.anyResult(min(within, queue.MaxWait)); res != nil {
		b.Errorf("another result came: %+v", res)
	}
}

// settle waits until the batched notes and deletes are sent.
func settle() {
	time.Sleep(600 * time.Millisecond)
	synctest.Wait()
}

func (b *bench) depth(q *memqueue.Queue, want queue.Depth) {
	b.Helper()
	settle()
	if d, err := q.Depth(context.Background()); err != nil || d != want {
		b.Errorf("%s holds %+v (%v), want %+v", q.Name(), d, err, want)
	}
}

func (b *bench) executions(want int) {
	b.Helper()
	time.Sleep(4 * batch.OnTheWay) // what comes together lingers
	synctest.Wait()
	if n := len(b.functions.Executions()); n != want {
		b.Errorf("%d scripts were executed, want %d", n, want)
	}
}

func (b *bench) state(r run.Request, want ledger.State) {
	b.Helper()
	settle()
	rec, err := b.ledger.Lookup(context.Background(), run.KeyOf(r.Tenant, r.Source, r.ID))
	if err != nil || rec.State != want {
		b.Errorf("the ledger has %s as %q (%v), want %q", r.ID, rec.State, err, want)
	}
}

// behave sets how invocations behave.
func (b *bench) behave(f func(nth int) memfunction.Behaviour) {
	b.functions.SetBehave(func(c memfunction.Call) memfunction.Behaviour {
		if c.Op != "Invoke" {
			return memfunction.Behaviour{}
		}
		return f(c.Nth)
	})
}

func (b *bench) lasting(d time.Duration) {
	b.behave(func(int) memfunction.Behaviour { return memfunction.Behaviour{Duration: d} })
}

// fakeBuilder has built every script, except those that a test holds.
type fakeBuilder struct {
	mu       sync.Mutex
	unbuilt  map[string]chan struct{} // by source; closed when built
	failing  map[string]*run.Error
	runner   bool // the env runners are built
	behind   []run.Script
	forgot   []string
	priority builds.Priority
	curse    string // Ensure panics for this source
}

func newFakeBuilder() *fakeBuilder {
	return &fakeBuilder{unbuilt: map[string]chan struct{}{}, failing: map[string]*run.Error{}}
}

// hold keeps a script unbuilt until built is called.
func (bs *fakeBuilder) hold(source string) (built func()) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	c := make(chan struct{})
	bs.unbuilt[source] = c
	return func() {
		bs.mu.Lock()
		delete(bs.unbuilt, source)
		bs.mu.Unlock()
		close(c)
	}
}

func (bs *fakeBuilder) Known(s run.Script) (builds.Built, bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if s.Source == bs.curse || bs.unbuilt[s.Source] != nil || bs.failing[s.Source] != nil {
		return builds.Built{}, false
	}
	return builds.Built{Function: run.FunctionName("sim", s.Tenant, s.Hash), Outcome: run.BuildReused}, true
}

func (bs *fakeBuilder) Ensure(ctx context.Context, s run.Script, p builds.Priority) (builds.Built, error) {
	if s.Source == bs.curse {
		panic("a builder")
	}
	bs.mu.Lock()
	c, reason := bs.unbuilt[s.Source], bs.failing[s.Source]
	bs.priority = p
	bs.mu.Unlock()
	if reason != nil {
		return builds.Built{}, &builds.FailedError{Built: builds.Built{Outcome: run.BuildDidFail}, Reason: reason}
	}
	if c != nil {
		select {
		case <-c:
		case <-ctx.Done():
			return builds.Built{}, context.Cause(ctx)
		}
	}
	return builds.Built{Function: run.FunctionName("sim", s.Tenant, s.Hash), Outcome: run.BuildBuilt}, nil
}

func (bs *fakeBuilder) Bridge(_ context.Context, s, runner run.Script) (builds.Built, bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return builds.Built{Function: run.FunctionName("sim", s.Tenant, runner.Hash), Outcome: run.BuildBridged, Script: s, Runner: &runner}, bs.runner
}

func (bs *fakeBuilder) Behind(s run.Script, p builds.Priority) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if p == builds.ForRunner {
		bs.behind = append(bs.behind, s)
	}
}

func (bs *fakeBuilder) Busy(run.ScriptHash) (string, bool) { return "", false }

func (bs *fakeBuilder) Forget(_ context.Context, s run.Script) error {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.forgot = append(bs.forgot, s.Source)
	return nil
}
