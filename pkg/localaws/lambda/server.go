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

// Config configures the endpoint and its limits. A limit of zero means the
// default.
type Config struct {
	Region, Account string
	Endpoint        string    // URL of the stack's services, in the environment of functions; empty: none
	Dir             string    // for code, layers and zips; made if it does not exist
	CacheDir        string    // for unpacked layers, shared between processes and kept; default Dir/unpacked
	DB              *bbolt.DB // stores functions and layers; nil: in memory

	MaxConcurrency int           // concurrent invocations of all functions; default 1000
	MaxWarm        int           // environments, before idle ones are ended; default by the machine's memory, see defaultMaxWarm
	IdleTimeout    time.Duration // after which an idle environment is ended; default 5 min
	PendingFor     time.Duration // minimum time that a created function is Pending; default 0

	ControlRate     float64 // control plane calls per second; default 15, negative: no limit
	GetFunctionRate float64 // GetFunction calls per second; default 100, negative: no limit
	CodeStorage     int64   // limit of all zips in bytes; default 75 GiB
}

// Deps are a Server's dependencies.
type Deps struct {
	Log          *zap.Logger
	Interpreters interpreter.Set
	// FetchS3 reads an object; nil: code and layers in S3 are refused.
	FetchS3 func(ctx context.Context, bucket, key string) ([]byte, error)
	// SDK returns a layer with boto3 for a runtime; nil: functions have none.
	SDK func(ctx context.Context, runtime string) (zip []byte, err error)
	// Panicked counts recovered panics; it may be nil.
	Panicked func()
}

// Server is the endpoint, an http.Handler.
type Server struct {
	cfg  Config
	deps Deps
	log  *zap.Logger

	files  *files
	store  *store
	starts *starter
	spares *sandbox.Spares
	blanks *blanks
	sdks   sdks
	faults *Faults

	control, getFunction *rate.Limiter

	life context.Context // ends with the server
	end  context.CancelFunc
	work sync.WaitGroup // running invocations and preparations

	mu        sync.Mutex
	functions map[string]*function
	layers    map[string]*layer
	pins      map[string]int // zips that a call is about to use, by digest
	inFlight  int            // running invocations of all functions
	warm      int            // environments that run or start
	closed    bool
}

// spareInits is how many cold starts at the same time find an init ready. Each
// takes about 11 MiB.
const spareInits = 2

//go:embed bootstrap.py
var bootstrap []byte

// New returns a server with the functions in the database.
func New(cfg Config, deps Deps) (*Server, error) {
	cfg = cfg.withDefaults()
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	files, err := newFiles(cfg.Dir, cfg.CacheDir)
	if err != nil {
		return nil, err
	}
	files.lasting = cfg.DB != nil
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
	s.log.Info("lambda endpoint", zap.Stringer("sandbox", sandbox.Probe()), zap.Strings("pythons", deps.Interpreters.Minors()), zap.Int("functions", len(s.functions)))
	s.blanks = newBlanks(s)
	s.spares = sandbox.NewSpares(spareInits) // what starts comes last: nothing ends it if New fails
	s.work.Go(s.reapIdle)                    // so that work is not done while it may begin more
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

// limiter is a token bucket with a burst of one second.
func limiter(perSecond float64) *rate.Limiter {
	if perSecond < 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

// load restores the functions and layers of an earlier process. Functions that
// were Pending are prepared again.
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
			s.prepareLater(f)
		}
	}
	for _, l := range layers {
		for _, v := range l.Versions {
			used[v.Content.SHA] = true
		}
	}
	return s.files.sweep(used)
}

// Faults is the set of faults to inject; tests change it while the server runs.
func (s *Server) Faults() *Faults { return s.faults }

// Close refuses new calls, ends every environment, and returns once all
// processes have ended or ctx ends.
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
		s.blanks.close()
		s.spares.Close()
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
	return writeAtomically(filepath.Join(dir, "bootstrap.py"), bootstrap, false)
}
