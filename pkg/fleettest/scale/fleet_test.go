package scale

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

// accountLimits are those of one AWS account in one region, per second where they
// are rates.
type accountLimits struct {
	Control, GetFunction, Concurrency, InFlight, STS int
	CodeBytes                                        int64
}

// defaultLimits are those of a new account.
var defaultLimits = accountLimits{
	Control: int(function.ControlPlane.PerSecond), GetFunction: 100, Concurrency: 1000, InFlight: 120_000, STS: 600, CodeBytes: 75 << 30,
}

// size is how large a fleet is.
type size struct {
	dispatchers, workers, concurrency, partitions int
	runners                                       bool // new scripts run in env runners
	cold                                          bool // workers start without sessions
}

// fleet is dispatchers and workers with everything else in memory.
type fleet struct {
	size
	load     load
	sqs      *sqs
	redis    *redis
	lambda   *lambda
	sts      *sts
	ledger   *memledger.Ledger
	prepared *prepared
	requests *memqueue.Queue
	results  *memqueue.Queue
	dead     []*memqueue.Queue
	stop     context.CancelFunc
	running  sync.WaitGroup
}

var policy = func() *run.Policy {
	p, err := run.NewPolicy(run.PolicyConfig{Handler: "h1"})
	if err != nil {
		panic(err)
	}
	return p
}()

const (
	prefix = "scriptfleet"
	// rememberFor is shorter than in production, as no duplicate comes here.
	rememberFor = 10 * time.Minute
)

func openFleet(t *testing.T, s size, stories *stories, limits accountLimits, begun func(startedRun)) *fleet {
	l := stories.load
	f := &fleet{
		size: s, load: l, sqs: &sqs{}, redis: &redis{}, lambda: newLambda(limits, l.seed, begun), sts: &sts{limit: limits.STS},
		ledger: memledger.New(memledger.Config{Remember: rememberFor, Recent: 5}), prepared: &prepared{arns: map[string]string{}},
	}
	names := queue.NamesOf(prefix, s.partitions)
	f.requests, f.results = f.sqs.queue(names.Requests), f.sqs.queue(names.Results)
	f.dead = []*memqueue.Queue{f.sqs.queue(names.RequestsDLQ), f.sqs.queue(names.PartitionDLQ)}
	side := f.sqs.distant(f.sqs.queue(names.Side))
	var parts []queue.Queue
	for _, name := range names.Partitions {
		parts = append(parts, f.sqs.distant(f.sqs.queue(name)))
	}
	requests, results, requestsDead, dead := f.sqs.distant(f.requests), f.sqs.distant(f.results), f.sqs.distant(f.dead[0]), f.sqs.distant(f.dead[1])
	ledger := nearLedger{f.ledger, f.redis}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	for range s.dispatchers {
		d := dispatcher.New(dispatcher.Config{}, dispatcher.Deps{
			Requests: requests, Partitions: parts, Side: side, Results: results, DeadLetter: requestsDead,
			Turns: func() int { return s.workers * s.concurrency }, Ledger: ledger, Tenants: f, Policy: policy,
			Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
		})
		f.running.Go(func() { _ = d.Run(ctx, ctx) })
	}
	leases, slots, limiter := memlease.New(), nearSlots{memslot.New(), f.redis}, memratelimit.New(rate(limits))
	kept := records{memrecords.New(), f.redis, f.prepared}
	for i := range s.workers {
		name, reg := fmt.Sprint("worker-", i), prometheus.NewRegistry()
		sessions, err := credential.NewSessions(credential.SessionsConfig{RoleARN: tenantRole, Region: "us-east-1", Account: "111111111111", Prefix: prefix},
			credential.SessionsDeps{STS: f.sts})
		if err != nil {
			t.Fatal(err)
		}
		assumer, err := credential.NewAssumer(credential.AssumerConfig{}, credential.AssumerDeps{STS: f.sts, Roles: roles{}})
		if err != nil {
			t.Fatal(err)
		}
		if !s.cold {
			f.sts.warm(stories, s.workers, sessions, assumer)
		}
		b := builds.New(builds.Config{Prefix: prefix, Worker: name}, builds.Deps{
			Leases: leases, Records: kept, Limiter: limiter, Maker: f.lambda, Layers: installer{}, Packager: installer{}, Log: zap.NewNop(), Registerer: reg,
		})
		w := worker.New(worker.Config{Name: name, Concurrency: s.concurrency, EnvRunner: s.runners}, worker.Deps{
			Partitions: parts, Side: side, Results: results, DeadLetter: dead, Ledger: ledger, Builds: b,
			Functions: signed{f.lambda, sessions}, Credentials: credentials{assumer}, Tenants: f, Slots: slots, Policy: policy,
			Log: zap.NewNop(), Registerer: reg,
		})
		f.running.Go(func() {
			_ = w.Run(ctx, ctx)
			_ = b.Close(ctx)
		})
	}
	return f
}

// rate is the control plane's, as the fleet limits itself to it.
func rate(l accountLimits) ratelimit.Rate {
	r := function.ControlPlane
	r.PerSecond = float64(l.Control)
	return r
}

// close ends the fleet at once.
func (f *fleet) close() {
	f.stop()
	f.running.Wait()
}

// Admit and Limits implement the operator's settings: the tenants with the most
// runs have larger ones, as an operator would give them, who knows what they
// bought.
func (f *fleet) Admit(string) *run.Error { return nil }
func (f *fleet) Limits(name string) tenant.Limits {
	l := tenant.Defaults
	if f.load.isNoisy(name) {
		l.MaxRunning, l.Partitions = 1000, 8
	}
	return l
}

// installer makes layers and packages.
type installer struct{}

func (installer) Build(ctx context.Context, _ run.Script) ([]byte, []run.Package, string, error) {
	await(ctx, layerTakes)
	return nil, nil, "", context.Cause(ctx)
}
func (installer) Pack(context.Context, run.Script) ([]byte, error) { return nil, nil }

// prepared are the functions and layers from before the play, by the keys of
// their records.
type prepared struct {
	mu   sync.RWMutex
	arns map[string]string
}

func (p *prepared) get(key string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.arns[key]
}

// prepare makes what a script from before the play needs, once: its function, the
// runner of its env, and its layer.
func (f *fleet) prepare(s run.Script) {
	made := []run.Script{s}
	if runner, ok := policy.Runner(s); ok && f.runners {
		made = append(made, runner)
	}
	f.prepared.mu.Lock()
	defer f.prepared.mu.Unlock()
	for _, s := range made {
		key, name := "script/"+string(s.Hash), run.FunctionName(prefix, s.Tenant, s.Hash)
		if f.prepared.arns[key] == "" {
			f.lambda.prepare(name, s.EnvHash != "")
			f.prepared.arns[key] = name
		}
	}
	if key := "env/" + string(s.EnvHash); s.EnvHash != "" && f.prepared.arns[key] == "" {
		f.prepared.arns[key] = layerARN(run.LayerName(prefix, s.EnvHash))
	}
}
