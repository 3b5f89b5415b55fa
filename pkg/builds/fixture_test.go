package builds_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const (
	ttl       = 15 * time.Second
	layerTime = 8 * time.Second // the build of a layer
	startTime = 2 * time.Second // from Pending to Active
)

// fleet is the builders of several workers on one Redis and one Lambda, all in
// memory.
type fleet struct {
	t       *testing.T
	lambda  *lambda
	layers  *layers
	packer  *packer
	leases  *memlease.Leases
	records *memrecords.Records
	limiter ratelimit.Limiter
	denied  atomic.Pointer[run.Denied]
	workers []*worker
	over    chan struct{} // closed when the test ends
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// worker is a builder with its own, breakable connection to Redis.
type worker struct {
	*builds.Builder
	name    string
	redis   *redis
	metrics *prometheus.Registry
	over    chan struct{}

	mu      sync.Mutex
	stopped chan struct{} // nil while the process runs
}

// die is kill -9: all later calls of the worker hang, and its leases are not
// released.
func (w *worker) die() { w.stop(w.over) }

// pause is SIGSTOP as other workers see it; the function that it returns is
// SIGCONT.
func (w *worker) pause() (resume func()) {
	c := make(chan struct{})
	w.stop(c)
	return func() { w.stop(nil); close(c) }
}

func (w *worker) stop(until chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = until
}

// running waits while the worker is paused, and returns false if it is dead.
func (w *worker) running() bool {
	w.mu.Lock()
	stopped := w.stopped
	w.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	return stopped != w.over
}

// inFleet runs a test in a synctest bubble, with a fleet of so many workers.
func inFleet(t *testing.T, workers int, test func(t *testing.T, fl *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		fl := &fleet{
			t: t, lambda: newLambda(), layers: newLayers(), packer: &packer{},
			leases: memlease.New(), records: memrecords.New(), over: make(chan struct{}),
			limiter: memratelimit.New(ratelimit.Rate{PerSecond: 15, Burst: 5, Reserve: 2}),
		}
		for range workers {
			fl.add(builds.Config{})
		}
		test(t, fl)
		close(fl.over)
		for _, w := range fl.workers {
			if err := w.Close(ended); err != nil {
				t.Error(err)
			}
		}
	})
}

func (fl *fleet) add(cfg builds.Config) *worker {
	w := &worker{
		name:    fmt.Sprint("worker-", len(fl.workers)),
		redis:   &redis{Leases: fl.leases, Records: fl.records},
		metrics: prometheus.NewRegistry(),
		over:    fl.over,
	}
	w.redis.w = w
	cfg.Worker, cfg.LeaseTTL = w.name, ttl
	w.Builder = builds.New(cfg, builds.Deps{
		Leases: w.redis, Records: w.redis, Limiter: fl.limiter, Maker: &caller{fl.lambda, w},
		Layers: &siteLayers{fl.layers, w}, Packager: fl.packer, Denied: fl.isDenied, Log: zap.NewNop(), Registerer: w.metrics,
	})
	fl.workers = append(fl.workers, w)
	return w
}

func (fl *fleet) isDenied() run.Denied {
	if d := fl.denied.Load(); d != nil {
		return *d
	}
	return run.Denied{}
}

// redis is one worker's connection to Redis. fault, where set, is called before
// each call, which fails with its error.
type redis struct {
	lease.Leases
	builds.Records
	w     *worker
	mu    sync.Mutex
	fault func(op string) error
}

var errAway = errors.New("redis is out of reach")

func (r *redis) set(fault func(op string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

func (r *redis) before(op string) error {
	r.mu.Lock()
	fault := r.fault
	r.mu.Unlock()
	if !r.w.running() {
		return errAway
	}
	if fault == nil {
		return nil
	}
	return fault(op)
}

// away makes the named ops fail, or all ops if none is named.
func away(ops ...string) func(string) error {
	return func(op string) error {
		if len(ops) == 0 || strings.Contains(strings.Join(ops, " "), op) {
			return errAway
		}
		return nil
	}
}

func (r *redis) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	if err := r.before("acquire"); err != nil {
		return lease.Lease{}, err
	}
	return r.Leases.Acquire(ctx, key, owner, ttl)
}

func (r *redis) Renew(ctx context.Context, l lease.Lease, ttl time.Duration) error {
	if err := r.before("renew"); err != nil {
		return err
	}
	return r.Leases.Renew(ctx, l, ttl)
}

func (r *redis) Release(ctx context.Context, l lease.Lease) error {
	if err := r.before("release"); err != nil {
		return err
	}
	return r.Leases.Release(ctx, l)
}

func (r *redis) Get(ctx context.Context, hash string) (builds.Record, bool, error) {
	if err := r.before("get"); err != nil {
		return builds.Record{}, false, err
	}
	return r.Records.Get(ctx, hash)
}

func (r *redis) GetAll(ctx context.Context, hashes []string) ([]*builds.Record, error) {
	if err := r.before("get all"); err != nil {
		return nil, err
	}
	return r.Records.GetAll(ctx, hashes)
}

func (r *redis) Put(ctx context.Context, hash string, rec builds.Record, ttl time.Duration) error {
	if err := r.before("put"); err != nil {
		return err
	}
	return r.Records.Put(ctx, hash, rec, ttl)
}

func (r *redis) Drop(ctx context.Context, hash string, fence int64) error {
	if err := r.before("drop"); err != nil {
		return err
	}
	return r.Records.Drop(ctx, hash, fence)
}

func (r *redis) Watch(ctx context.Context, hash string) (<-chan struct{}, func(), error) {
	if err := r.before("watch"); err != nil {
		return nil, nil, err
	}
	return r.Records.Watch(ctx, hash)
}

// packer packs scripts. It fails for the source "syntax error".
type packer struct {
	mu    sync.Mutex
	calls int
}

func (p *packer) Pack(_ context.Context, s run.Script) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if strings.Contains(s.Source, "syntax error") {
		return nil, &run.Error{Owner: run.OwnerAuthor, Type: "SyntaxError", Message: "mend line 1"}
	}
	return []byte(s.Source), nil
}

// layers builds layers; each build takes layerTime.
type layers struct {
	mu     sync.Mutex
	builds map[run.EnvHash]int
	fail   func(env run.EnvHash) error
	at     map[run.EnvHash]time.Time // when the last build of it began
}

func newLayers() *layers {
	return &layers{builds: map[run.EnvHash]int{}, at: map[run.EnvHash]time.Time{}}
}

type siteLayers struct {
	*layers
	w *worker
}

func (l *siteLayers) Build(ctx context.Context, s run.Script) ([]byte, []run.Package, string, error) {
	l.mu.Lock()
	l.builds[s.EnvHash]++
	l.at[s.EnvHash] = time.Now()
	fail := l.fail
	l.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, nil, "", ctx.Err()
	case <-time.After(layerTime):
	}
	log := "resolved by " + l.w.name
	if fail != nil {
		if err := fail(s.EnvHash); err != nil {
			return nil, nil, log, err
		}
	}
	return []byte(s.Requirements), []run.Package{{Name: s.Requirements, Version: "1"}}, log, nil
}

func (l *layers) failWith(fail func(env run.EnvHash) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

func (l *layers) count(s run.Script) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.builds[s.EnvHash]
}

func script(tenant, source, env string) run.Script {
	s := run.Script{
		Tenant: tenant, Source: source, TimeoutSeconds: 10, MemoryMB: 128,
		Runtime: run.Runtime{Name: "python3.13", Lambda: "python3.13"},
		Hash:    run.ScriptHash(strings.ReplaceAll(tenant+"-"+source, " ", "-")),
	}
	if env != "" {
		s.EnvHash, s.Requirements = run.EnvHash(env), env
	}
	return s
}

var (
	plain   = script("acme", "plain", "")
	numbers = script("acme", "numbers", "numpy")
)

func refusedByAuthor() error {
	return &run.Error{Owner: run.OwnerAuthor, Type: "RequirementNotFound", Message: "no such version"}
}

func unreachableIndex() error {
	return &run.Error{Owner: run.OwnerPlatform, Type: "IndexUnreachable", Message: "later", Retryable: true}
}

func serviceError(op string, class function.Class) error {
	return &function.Error{Class: class, Op: op, Reason: "Test", Err: errors.New("test")}
}
