package settings

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/memregistry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

const (
	prefix      = "sf"
	concurrency = 8                  // of the worker
	externalID  = "0123456789abcdef" // trusted by the tests' role
)

// fleet is a dispatcher and, after work, a worker, in a bubble of
// testing/synctest.
type fleet struct {
	*testing.T
	settings  *tenant.File
	policy    *run.Policy
	ledger    *memledger.Ledger
	functions *memfunction.Functions
	scripts   *memregistry.Store

	requests, results, side *memqueue.Queue
	partitions              []queue.Queue

	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

// newFleet starts a dispatcher only.
func newFleet(t *testing.T, file string) *fleet {
	t.Helper()
	f := &fleet{T: t, ledger: memledger.New(memledger.Config{}), functions: memfunction.New(memfunction.Config{}), scripts: memregistry.New()}
	f.requests, f.results, f.side = memqueue.New("requests", memqueue.Options{}), memqueue.New("results", memqueue.Options{}), memqueue.New("side", memqueue.Options{})
	for _, name := range queue.NamesOf(prefix, 8).Partitions {
		f.partitions = append(f.partitions, memqueue.New(name, memqueue.Options{}))
	}
	var err error
	if f.settings, err = tenant.New(tenant.Config{Path: files.Write(t, "tenants.json", file)}, tenant.Deps{}); err != nil {
		t.Fatal(err)
	}
	f.policy, err = run.NewPolicy(run.PolicyConfig{
		TenantMemoryMB: func(name string) int { return f.settings.Limits(name).MemoryMB },
		PrivateIndex: func(name string) string {
			index, _ := f.settings.Settings().Index(name)
			return index.Name()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.ctx, f.end = context.WithCancel(context.Background())
	d := dispatcher.New(dispatcher.Config{}, dispatcher.Deps{
		Requests: f.requests, Partitions: f.partitions, Side: f.side, Results: f.results, DeadLetter: memqueue.New("dlq", memqueue.Options{}),
		PartitionDeadLetter: memqueue.New("partition-dlq", memqueue.Options{}),
		Ledger:              f.ledger, Tenants: f.settings, Policy: f.policy, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
		Scripts: registry.NewResolver(f.scripts),
	})
	f.running.Go(func() { _ = d.Run(f.ctx, f.ctx) })
	return f
}

// work starts a worker.
func (f *fleet) work() {
	f.Helper()
	builder := builds.New(builds.Config{Prefix: prefix, Worker: "w"}, builds.Deps{
		Leases: memlease.New(), Records: memrecords.New(), Limiter: memratelimit.New(function.ControlPlane),
		Maker: f.functions, Layers: parts{}, Packager: parts{}, Denied: f.settings.Denied, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	assumer, err := credential.NewAssumer(credential.AssumerConfig{}, credential.AssumerDeps{STS: parts{}, Roles: f.settings})
	if err != nil {
		f.Fatal(err)
	}
	none := 0
	w := worker.New(worker.Config{Name: "w", Concurrency: concurrency, Reserve: &none, EnvRunner: true}, worker.Deps{
		Partitions: f.partitions, Side: f.side, Results: f.results, DeadLetter: memqueue.New("partition-dlq", memqueue.Options{}),
		Ledger: f.ledger, Builds: builder, Functions: f.functions, Credentials: assumed{assumer}, Slots: memslot.New(),
		Tenants: f.settings, Policy: f.policy, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(), Scripts: registry.NewResolver(f.scripts),
	})
	f.running.Go(func() {
		_ = w.Run(f.ctx, f.ctx)
		_ = builder.Close(f.ctx)
	})
}

func (f *fleet) stop() {
	f.end()
	f.running.Wait()
}

func (f *fleet) pass(d time.Duration) { time.Sleep(d) }

// takes sets the approximate duration of scripts. It varies a little: if runs
// ended at the same instant, chance would decide who gets the turns.
func (f *fleet) takes(d time.Duration) {
	f.functions.SetBehave(func(c memfunction.Call) memfunction.Behaviour {
		if c.Op == "Invoke" {
			return memfunction.Behaviour{Duration: d + time.Duration(c.Nth%17)*d/40}
		}
		return memfunction.Behaviour{}
	})
}

// ask sends a request, and returns its id.
func (f *fleet) ask(tenant, id string, credential ...string) string {
	f.Helper()
	f.send(tenant, id, map[string]any{"script": "def main(input): pass", "credential": strings.Join(credential, "")})
	return id
}

func (f *fleet) send(tenant, id string, data map[string]any) {
	f.Helper()
	if err := f.requests.Send(f.ctx, []queue.Message{{Body: f.body(tenant, id, data)}})[0]; err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) body(tenant, id string, data map[string]any) []byte {
	f.Helper()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": run.TypeRequested, "source": "/stories/test", "id": id, "tenant": tenant, "data": data,
	})
	if err != nil {
		f.Fatal(err)
	}
	return body
}

// decode is the run of a script with these requirements.
func (f *fleet) decode(tenant, requirements string) run.Run {
	f.Helper()
	r, refused := f.policy.Decode(f.body(tenant, "a", map[string]any{"script": "def main(input): pass", "requirements": requirements}), time.Now())
	if refused != nil {
		f.Fatal(refused)
	}
	return r
}

func (f *fleet) statusOf(id string) run.Status {
	f.work()
	return f.resultOf(id).Data.Status
}

func (f *fleet) resultOf(id string) run.Result {
	f.Helper()
	ds, err := f.results.Receive(f.ctx, queue.Poll{Max: 1, Wait: 20 * time.Second, Visibility: time.Hour})
	if err != nil || len(ds) != 1 {
		f.Fatalf("no result of %s: %v", id, err)
	}
	res, err := run.DecodeResult(ds[0].Body)
	if err != nil || res.Subject != id {
		f.Fatalf("the result is of %s: %v", res.Subject, err)
	}
	return res
}

func (f *fleet) executions(tenant string) (n int) {
	for _, c := range f.functions.Calls("Invoke") {
		if c.Tenant == tenant {
			n++
		}
	}
	return n
}

func (f *fleet) depth(q queue.Queue) int {
	f.Helper()
	d, err := q.Depth(f.ctx)
	if err != nil {
		f.Fatal(err)
	}
	return d.Total()
}

// parts provides layers, packages, and an STS with one role.
type parts struct{}

func (parts) Build(context.Context, run.Script) ([]byte, []run.Package, string, error) {
	return nil, nil, "", nil
}
func (parts) Pack(_ context.Context, s run.Script) ([]byte, error) { return []byte(s.Source), nil }

func (parts) AssumeRole(_ context.Context, r credential.Request) (credential.AWS, error) {
	if r.ExternalID != externalID {
		return credential.AWS{}, &credential.DeniedError{Code: "AccessDenied", Reason: "another external ID"}
	}
	return credential.AWS{AccessKeyID: "AKID", Expires: time.Now().Add(time.Hour)}, nil
}

type assumed struct{ *credential.Assumer }

func (a assumed) Assume(ctx context.Context, r run.Run) function.Credentials {
	ask := credential.Ask{Tenant: r.Tenant, Credential: r.Data.Credential, Runtime: r.Script.Runtime.Name, Run: string(r.Key)}
	return function.Credentials{Success: a.Assumer.Assume(ctx, ask).Success}
}
