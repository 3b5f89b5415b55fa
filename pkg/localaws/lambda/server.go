package lambda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "embed"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// Config says what the endpoint is, and how much it may take. The zero value of
// a limit means the default.
type Config struct {
	Region, Account string
	Dir             string    // for code, layers and zips; made where it is not there
	CacheDir        string    // for unpacked layers, shared between processes and kept; default Dir/unpacked
	DB              *bbolt.DB // functions and layers survive a restart in it; nil keeps them in memory

	MaxConcurrency int           // invocations at a time in all functions; default 1000
	MaxWarm        int           // environments at a time, before idle ones are ended; default by the machine's memory, see defaultMaxWarm
	IdleTimeout    time.Duration // of an environment; default 5 min
	PendingFor     time.Duration // a created function is Pending at least for so long; default 0

	ControlRate     float64 // control plane calls a second; default 15, negative means no limit
	GetFunctionRate float64 // GetFunction calls a second; default 100, negative means no limit
	CodeStorage     int64   // bytes of zips; default 75 GiB
}

// Deps are what the server calls.
type Deps struct {
	Log          *zap.Logger
	Interpreters interpreter.Set
	// FetchS3 reads an object; nil refuses code and layers that lie in S3.
	FetchS3 func(ctx context.Context, bucket, key string) ([]byte, error)
	// SDK returns a layer with boto3 for a runtime; nil gives functions none.
	SDK func(ctx context.Context, runtime string) (zip []byte, err error)
	// Panicked counts panics that were caught; it may be nil.
	Panicked func()
}

// Server is the endpoint. It is an http.Handler.
type Server struct {
	cfg  Config
	deps Deps
	log  *zap.Logger

	files  *files
	store  *store
	starts *starter
	sdks   sdks
	faults *Faults

	control, getFunction *rate.Limiter

	life context.Context // ends with the server
	end  context.CancelFunc
	work sync.WaitGroup // invocations and preparations under way

	mu        sync.Mutex
	functions map[string]*function
	layers    map[string]*layer
	pins      map[string]int // zips that a call is about to use, by digest
	inFlight  int            // invocations in all functions
	warm      int            // environments that run or start
	closed    bool
}

//go:embed bootstrap.py
var bootstrap []byte

// New returns a server with the functions that the database holds.
func New(cfg Config, deps Deps) (*Server, error) {
	cfg = cfg.withDefaults()
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	files, err := newFiles(cfg.Dir, cfg.CacheDir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Log, files: files, sdks: sdks{made: map[string]sdk{}}, store: &store{cfg.DB}, starts: newStarter(), faults: &Faults{},
		control: limiter(cfg.ControlRate), getFunction: limiter(cfg.GetFunctionRate),
		functions: map[string]*function{}, layers: map[string]*layer{}, pins: map[string]int{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		s.end()
		return nil, err
	}
	go s.reapIdle()
	s.log.Info("lambda endpoint", zap.Stringer("sandbox", sandbox.Probe()), zap.Strings("pythons", deps.Interpreters.Minors()), zap.Int("functions", len(s.functions)))
	return s, nil
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.MaxConcurrency, 1000)
	def(&c.MaxWarm, defaultMaxWarm())
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 5 * time.Minute
	}
	if c.ControlRate == 0 {
		c.ControlRate = 15
	}
	if c.GetFunctionRate == 0 {
		c.GetFunctionRate = 100
	}
	if c.CodeStorage == 0 {
		c.CodeStorage = 75 << 30
	}
	return c
}

// limiter is a token bucket that holds one second's worth.
func limiter(perSecond float64) *rate.Limiter {
	if perSecond < 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

// load takes up what an earlier process left: functions and layers are there
// again; those that were Pending are prepared again.
func (s *Server) load() error {
	functions, layers, err := s.store.load()
	if err != nil {
		return err
	}
	for _, l := range layers {
		s.layers[l.Name] = l
	}
	used := map[string]bool{}
	for _, f := range functions {
		s.functions[f.Name] = f
		used[f.Code.SHA] = true
		for _, l := range f.Layers {
			used[l.SHA] = true
		}
		if f.State == statePending {
			s.work.Go(func() { s.prepare(f) })
		}
	}
	for _, l := range layers {
		for _, v := range l.Versions {
			used[v.Content.SHA] = true
		}
	}
	return s.files.sweep(used)
}

// Faults are the faults to inject; tests set them while the server runs.
func (s *Server) Faults() *Faults { return s.faults }

// Close refuses new calls, ends every environment, and returns once no process
// is left, or ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var pools []*pool
	for _, f := range s.functions {
		if f.pool != nil {
			pools = append(pools, f.pool)
		}
	}
	s.mu.Unlock()
	s.end() // kills what runs
	for _, p := range pools {
		p.close()
	}
	done := make(chan struct{})
	go func() {
		s.starts.wg.Wait()
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close lambda endpoint: %w", errors.Join(ctx.Err(), errors.New("environments are left")))
	}
}

func writeBootstrap(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make runtime directory: %w", err)
	}
	return writeAtomically(filepath.Join(dir, "bootstrap.py"), bootstrap)
}
