package localaws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/s3"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sts"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Stack is a running embedded stack.
type Stack struct {
	cfg     Config
	secrets secrets
	keys    *auth.Keys
	awsAddr string

	db      *bbolt.DB // queues and functions; nil without a data folder
	objects *bbolt.DB // S3
	scratch *scratch  // what is not to outlive the process
	sqs     *sqs.Server
	sts     *sts.Server
	s3      *s3.Server
	redis   *redis

	functions *functions // Lambda
	panics    prometheus.Counter
	http      *http.Server
	guests    *guests
	kept      *kept
	listener  net.Listener // of http; nil once it serves
	served    chan error   // the error with which Serve ended
	stopCalls context.CancelFunc
}

// Start starts the stack with its queues, bucket and roles. When it returns,
// all services can be called; the first calls to Lambda may wait until the
// machine's interpreters are found (see Ready). The caller must call Close.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, panics: panicsTotal(cfg.Registerer)}
	if err := s.start(ctx); err != nil {
		_ = s.Close(ctx) // the first error is more useful
		return nil, fmt.Errorf("start embedded stack: %w", err)
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	steps := []func() error{s.openData, s.openKeys, s.openServices, s.provision, s.listen, s.openFunctions, s.listenRedis}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	s.serve()
	return nil
}

// panicsTotal counts panics of the stack, each confined to one call.
func panicsTotal(r prometheus.Registerer) prometheus.Counter {
	return promauto.With(r).NewCounter(prometheus.CounterOpts{
		Name: "scriptfleet_stack_panics_total", Help: "Panics in the embedded stack, each of which failed one call or one invocation.",
	})
}

// faults is the guard of the stack's own work.
func (s *Stack) faults(name string) panics.Guard {
	return panics.Guard{Log: s.cfg.Log.Named(name), Count: s.panics.Inc}
}

func (s *Stack) openData() (err error) {
	dir := s.cfg.DataDir
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		if s.db, err = openDB(filepath.Join(dir, "stack.db")); err != nil {
			return err
		}
		if s.objects, err = openDB(filepath.Join(dir, "objects.db")); err != nil {
			return err
		}
	}
	if s.scratch, err = newScratch(); err != nil {
		return err
	}
	s.secrets, err = loadSecrets(dir)
	return err
}

// openDB opens a database. It fails if another process has it open.
func openDB(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: another process has it open; stop that one, or choose another --data", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

func (s *Stack) openKeys() (err error) {
	s.keys, err = auth.NewKeys(s.cfg.Account, s.secrets.AccessKey, s.secrets.SecretKey)
	if err != nil {
		return err
	}
	invoke := auth.Allow([]string{"lambda:InvokeFunction"}, []string{"*"})
	s.keys.AddRole(auth.Role{ARN: s.cfg.TenantRole(), RootOnly: true, Policy: invoke})
	for _, role := range s.cfg.Roles {
		if err := s.AddRole(role); err != nil {
			return err
		}
	}
	return nil
}

// AddRole adds a role, or replaces it.
func (s *Stack) AddRole(r Role) error {
	parsed, err := r.parse(s.cfg.Account)
	if err != nil {
		return err
	}
	s.keys.AddRole(parsed)
	return nil
}

func (s *Stack) openServices() (err error) {
	s.sts = sts.New(s.cfg.Account, s.keys)
	s.s3, err = s3.New(s3.Config{Account: s.cfg.Account, Objects: s.objects, Owners: s.db})
	if err != nil {
		return err
	}
	s.sqs, err = sqs.New(
		sqs.Config{Region: s.cfg.Region, Account: s.cfg.Account, DB: s.db},
		sqs.Deps{Log: s.cfg.Log.Named("sqs"), Guard: s.faults("sqs")})
	return err
}

// provision makes the queues, the bucket and the roles of the fleet.
func (s *Stack) provision() error {
	names := queue.NamesOf(s.cfg.Prefix, s.cfg.Partitions)
	var plans []sqs.Plan
	for _, name := range names.All() {
		plans = append(plans, sqs.Plan{Name: name, Attributes: s.cfg.attributesOf(names, name)})
	}
	if err := s.sqs.Ensure(plans...); err != nil {
		return err
	}
	return s.s3.Ensure(s.cfg.Bucket())
}

func (s *Stack) listenRedis() (err error) {
	s.redis, err = startRedis(s.cfg.RedisAddr, s.secrets.RedisPassword, redisProgram, s.scratch.dir, s.faults("redis"))
	return err
}

// listen takes the address. Calls wait until serve: functions are told the
// address before.
func (s *Stack) listen() (err error) {
	if s.listener, err = net.Listen("tcp", s.cfg.AWSAddr); err != nil {
		return fmt.Errorf("listen for AWS: %w", explainListen(err, awsAddrFlag))
	}
	s.awsAddr = s.listener.Addr().String()
	return nil
}

func (s *Stack) serve() {
	calls, stopCalls := context.WithCancel(context.Background())
	s.stopCalls = stopCalls
	s.guests = newGuests()
	s.kept = newKept(s.cfg.Account, func(account string) int64 { return s.s3.Bytes(account) + s.sqs.Bytes(account) })
	s.http = &http.Server{
		ConnState:         s.guests.watch,
		ConnContext:       s.guests.mark,
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return calls },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          zap.NewStdLog(s.cfg.Log.Named("http")),
	}
	listener := s.listener
	s.served, s.listener = make(chan error, 1), nil
	go func() { s.served <- s.http.Serve(listener) }()
}

// explainListen adds what to do about an address that is in use.
func explainListen(err error, flag string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; choose another address with %s (port 0 takes a free one)", err, flag)
	}
	return err
}

// Queues returns the counts of every queue, sorted by name.
func (s *Stack) Queues() []sqs.Stats { return s.sqs.Stats() }

// QueueFaults is the set of faults of SQS, for tests.
func (s *Stack) QueueFaults() *sqs.Faults { return s.sqs.Faults() }

// EndPolls ends all long polls, those that are waiting and later ones.
func (s *Stack) EndPolls() { s.sqs.EndPolls() }

// Close stops the stack. Waiting polls end without messages; other calls may
// finish until ctx ends; then everything that Start began is ended. Close also
// works on a stack whose Start failed.
func (s *Stack) Close(ctx context.Context) error {
	var errs []error
	if s.http != nil {
		s.stopCalls()
		s.guests.close()
		if err := s.http.Shutdown(ctx); err != nil {
			errs = append(errs, s.http.Close())
		}
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if s.functions != nil {
		errs = append(errs, s.functions.close(ctx))
	}
	if s.sqs != nil {
		s.sqs.Close()
	}
	if s.redis != nil {
		s.redis.close()
	}
	for _, db := range []*bbolt.DB{s.db, s.objects} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.scratch != nil {
		errs = append(errs, s.scratch.remove())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close embedded stack: %w", err)
	}
	return nil
}
