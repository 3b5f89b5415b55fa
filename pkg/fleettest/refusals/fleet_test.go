package refusals

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/awslambda"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

const (
	source = "def main(input): return 'ran'\n"
	within = 2 * time.Minute
)

// fleet is a worker with queues and a ledger in memory, and the embedded
// stack's Lambda and STS.
type fleet struct {
	*testing.T
	faults             *lambda.Faults
	functions          *awslambda.Functions
	sessions           *sessions
	ledger             *inmemory.Ledger
	partition, results *memqueue.Queue
	runtime            string
	code               []byte
	came               map[string]run.Result // by tenant
}

func start(t *testing.T) *fleet {
	t.Helper()
	s := stack.Start(t, localaws.Config{Lambda: lambda.Config{ControlRate: -1, GetFunctionRate: -1}})
	cfg := s.Config()
	kept, err := credential.NewSessions(credential.SessionsConfig{
		RoleARN: cfg.TenantRole(), Region: cfg.Region, Account: cfg.Account, Prefix: cfg.Prefix,
	}, credential.SessionsDeps{STS: awssts.New(sts.NewFromConfig(s.AWSConfig()))})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{
		T: t, faults: s.LambdaFaults(t.Context()), sessions: &sessions{Sessions: awssts.Sessions{Sessions: kept}},
		ledger: inmemory.NewLedger(), came: map[string]run.Result{},
		partition: memqueue.New("partition", memqueue.Options{}), results: memqueue.New("results", memqueue.Options{}),
	}
	f.functions = awslambda.New(awslambda.Config{NamePrefix: cfg.Prefix}, awslambda.Deps{
		Lambda: awslambda.NewClient(s.AWSConfig(), 64), Sessions: f.sessions,
	})
	f.pack()
	w := worker.New(worker.Config{Name: "w"}, worker.Deps{
		Partitions: []queue.Queue{f.partition}, Side: memqueue.New("side", memqueue.Options{}), Results: f.results,
		DeadLetter: memqueue.New("dlq", memqueue.Options{}), Ledger: f.ledger, Builds: f, Functions: f.functions,
		Credentials: f, Slots: memslot.New(), Tenants: f, Policy: inmemory.Policy, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	running := inmemory.Run(t, w.Run)
	t.Cleanup(running.Stop)
	return f
}

func (f *fleet) pack() {
	f.Helper()
	set, err := interpreter.Default(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	newest, _ := set.Newest()
	f.runtime = "python" + newest.Minor
	if f.code, err = (function.Packager{}).Pack(f.Context(), run.Script{Source: source}); err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) name(tenant string) string { return run.TenantPrefix("scriptfleet", tenant) + "script" }

// play makes Lambda answer the tenant's next invocation with e.
func (f *fleet) play(tenant string, e lambda.Error) {
	f.faults.Add(lambda.Fault{Op: "Invoke", Function: f.name(tenant), Kind: lambda.Refuse, Error: e, Times: 1})
}

func (f *fleet) create(tenant string) {
	f.Helper()
	err := f.functions.Create(f.Context(), function.Spec{Name: f.name(tenant), Runtime: f.runtime, Handler: function.Handler,
		Code: f.code, TimeoutSeconds: 60, MemoryMB: 128, RoleARN: "arn:aws:iam::123456789012:role/scriptfleet-script"})
	if err == nil {
		err = f.functions.Await(f.Context(), f.name(tenant))
	}
	if err != nil {
		f.Fatal(err)
	}
}

// send puts a run of the tenant on the partition, as a dispatcher does.
func (f *fleet) send(tenant string) {
	f.Helper()
	body, err := run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/stories/one", ID: "r", Tenant: tenant,
		Data: run.RequestData{Script: source, TimeoutSeconds: 60},
	}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	r, refused := inmemory.Policy.Decode(body, time.Now())
	if refused != nil {
		f.Fatal(refused)
	}
	if _, err := f.ledger.Accept(f.Context(), []ledger.Entry{ledger.EntryOf(r)}); err != nil {
		f.Fatal(err)
	}
	if err := f.partition.Send(f.Context(), []queue.Message{{Body: body, Group: tenant}})[0]; err != nil {
		f.Fatal(err)
	}
}

// await waits for the result of the tenant's run.
func (f *fleet) await(tenant string) run.Result {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), within)
	defer cancel()
	for f.came[tenant].Tenant == "" {
		ds, err := f.results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Hour})
		if err != nil {
			f.Fatalf("no result of %s: %v", tenant, err)
		}
		for _, d := range ds {
			res, err := run.DecodeResult(d.Body)
			if err != nil {
				f.Fatal(err)
			}
			f.came[res.Tenant] = res
		}
	}
	return f.came[tenant]
}

// sessions records the access keys that sign each tenant's invocations.
type sessions struct {
	awssts.Sessions

	mu   sync.Mutex
	seen map[string]map[string]bool // access keys, by tenant
}

func (s *sessions) Session(ctx context.Context, tenant string) (aws.Credentials, error) {
	c, err := s.Sessions.Session(ctx, tenant)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]map[string]bool{}
	}
	if s.seen[tenant] == nil {
		s.seen[tenant] = map[string]bool{}
	}
	s.seen[tenant][c.AccessKeyID] = true
	return c, err
}

func (s *sessions) of(tenant string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[tenant]
}

// The fleet's builds are there, and its tenants have no limits.

func (f *fleet) Known(s run.Script) (builds.Built, bool) {
	return builds.Built{Function: f.name(s.Tenant), Outcome: run.BuildReused}, true
}

func (f *fleet) Bridge(context.Context, run.Script, run.Script) (builds.Built, bool) {
	return builds.Built{}, false
}

func (f *fleet) Behind(run.Script, builds.Priority) {}

func (f *fleet) Ensure(_ context.Context, s run.Script, _ builds.Priority) (builds.Built, error) {
	b, _ := f.Known(s)
	return b, nil
}

func (f *fleet) Busy(run.ScriptHash) (string, bool)       { return "", false }
func (f *fleet) Forget(context.Context, run.Script) error { return nil }

func (f *fleet) Limits(string) tenant.Limits {
	return tenant.Limits{MaxRunning: tenant.NoCap, MaxRunningPerScript: tenant.NoCap, Weight: 1}
}

func (f *fleet) Assume(context.Context, run.Run) function.Credentials {
	return function.Credentials{}
}
