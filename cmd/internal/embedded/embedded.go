// Package embedded runs the embedded stack inside a command, with a dispatcher
// and a worker if wanted.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// Options configure what is started.
type Options struct {
	AWSAddr, RedisAddr string // loopback; port 0, or empty: a free port
	DataDir            string // empty: everything is in memory
	Fleet              config.Fleet
	Process            config.Process
	Dispatcher         config.Dispatcher
	Worker             config.Worker
	Roles              Roles  // permissions of tenants' roles
	Tenant             string // that credentials of Roles are for, if no settings name them
	Log                *zap.Logger
	// Progress is called with each line of a layer build's log; it may be nil.
	Progress func(run.EnvHash, string)
}

// Stack is the embedded stack, and the fleet's settings for it.
type Stack struct {
	*localaws.Stack
	Fleet *wire.Fleet

	options  Options
	registry *prometheus.Registry
	sdk      sdkSource
	flush    func()             // exports the last spans
	made     string             // folder of the settings that Roles needed; empty for none
	stop     context.CancelFunc // ends the fleet's intake
	hurry    context.CancelFunc // ends the fleet's work
	stopped  chan struct{}      // closed once the fleet has stopped; err is set before
	err      error
}

// Start starts the stack. The caller must call Close.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if err := fit(ctx, &o.Fleet); err != nil {
		return nil, err
	}
	made, err := o.provideRoles()
	if err != nil {
		return nil, err
	}
	registry := telemetry.NewRegistry()
	o.Log.Info("the embedded stack starts", zap.String("version", version.String()), zap.String("handler", function.HandlerVersion()))
	sdk := newSDKSource(o.Fleet, o.Worker, o.Log)
	local := localaws.Config{
		SDK: sdk.build, Registerer: registry,
		AWSAddr: o.AWSAddr, RedisAddr: o.RedisAddr, DataDir: o.DataDir,
		Prefix: o.Fleet.Prefix, Partitions: o.Fleet.Partitions, Log: o.Log,
	}
	stack, err := localaws.Start(ctx, local)
	if err != nil {
		_ = os.RemoveAll(made)
		return nil, fmt.Errorf("start the embedded stack: %w", err)
	}
	local = stack.Config()
	o.Fleet.RedisURL, o.Fleet.Bucket = stack.OwnRedisURL(), local.Bucket()
	o.Worker.RoleARN, o.Worker.TenantRoleARN = local.ScriptRole(), local.TenantRole()
	s := &Stack{Stack: stack, sdk: sdk, options: o, registry: registry, made: made}
	if s.Fleet, err = wire.Open(ctx, o.Fleet, stack.AWSConfig(), o.Log, s.registry); err != nil {
		return nil, errors.Join(err, stack.Close(ctx), os.RemoveAll(made))
	}
	s.flush = s.Fleet.Trace(ctx, "scriptfleet")
	s.Fleet.WatchTenants(s.addRoles)
	return s, nil
}

// provideRoles makes the settings that Roles needs, and returns the folder that
// it has made for them: a data folder keeps them across restarts.
func (o *Options) provideRoles() (made string, err error) {
	dir := o.DataDir
	if len(o.Roles) > 0 && o.Fleet.TenantsFile == "" {
		if dir == "" {
			if made, err = os.MkdirTemp("", "scriptfleet-roles-"); err != nil {
				return "", err
			}
			dir = made
		} else if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
	}
	if err := o.Roles.provide(&o.Fleet.TenantsFile, dir, o.Tenant); err != nil {
		return "", errors.Join(err, os.RemoveAll(made))
	}
	return made, nil
}

// TellWhatIsMissing logs what scripts find on Lambda and will not find here. It
// returns at once.
func (s *Stack) TellWhatIsMissing(ctx context.Context) {
	go panics.Guard{Log: s.options.Log}.Catch(func() { s.sdk.tellIfMissing(ctx) }, nil)
}

// StartFleet starts a dispatcher and a worker in this process, and their admin
// server if its address is set.
func (s *Stack) StartFleet(ctx context.Context) error {
	d, err := s.Fleet.Dispatcher(ctx, s.options.Process, s.options.Dispatcher)
	if err != nil {
		return err
	}
	w, err := s.Fleet.Worker(ctx, s.options.Process, s.options.Worker, s.options.Progress)
	if err != nil {
		return err
	}
	parts := []service.Part{d.Part, w.Part, s.Fleet.FollowTenants(), s.Fleet.FollowRuntimes()}
	admin, err := s.admin(wire.Own("dispatcher", d.Ready), wire.Own("worker", w.Ready))
	if err != nil {
		return err
	}
	parts = append(parts, admin...)
	var hurried context.Context
	hurried, s.hurry = context.WithCancel(context.Background())
	for i := range parts {
		parts[i] = endedBy(hurried, parts[i])
	}
	s.options.Log.Info("fleet runs")
	ctx, s.stop = context.WithCancel(ctx)
	s.stopped = make(chan struct{})
	go func() {
		defer close(s.stopped)
		s.err = service.Run(ctx, s.options.Process.Drain, parts...)
	}()
	return nil
}

// Wait returns once the fleet has stopped, by a signal or an error.
func (s *Stack) Wait() error {
	<-s.stopped
	return s.err
}

// endedBy is a part whose work also ends with ctx.
func endedBy(ctx context.Context, p service.Part) service.Part {
	return service.Part{Name: p.Name, Run: func(intake, work context.Context) error {
		work, cancel := context.WithCancel(work)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return p.Run(intake, work)
	}}
}

// Drain ends the fleet's intake, if the fleet was started. Deliveries in hand
// go on; running polls end at once.
func (s *Stack) Drain() {
	s.EndPolls()
	if s.stop != nil {
		s.stop()
	}
}

// GiveUp is Drain, and also ends the work of deliveries in hand.
func (s *Stack) GiveUp() {
	if s.hurry != nil {
		s.hurry()
	}
	s.Drain()
}

// Close drains the fleet and ends the stack.
func (s *Stack) Close(ctx context.Context) error {
	var err error
	s.Drain()
	if s.stop != nil {
		err = s.Wait()
	}
	s.flush()
	s.Fleet.Close()
	return errors.Join(err, s.Stack.Close(ctx), os.RemoveAll(s.made))
}

// Abandon ends a stack whose queues are not needed any more: it waits until
// published results are settled, or ctx ends, and gives up the rest.
func (s *Stack) Abandon(ctx context.Context) error {
	s.settle(ctx)
	s.GiveUp()
	return s.Close(context.WithoutCancel(ctx))
}

// InHand counts the deliveries that workers have received and not settled.
func (s *Stack) InHand() int {
	names := queue.NamesOf(s.options.Fleet.Prefix, s.options.Fleet.Partitions)
	n := 0
	for _, q := range s.Queues() {
		if slices.Contains(append(names.Partitions, names.Side), q.Name) {
			n += q.InFlight
		}
	}
	return n
}

// settleWithin bounds Abandon's wait for published results to be settled, which
// normally takes milliseconds.
const settleWithin = time.Second

// settle returns once no delivery is in flight.
func (s *Stack) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && slices.ContainsFunc(s.Queues(), func(q sqs.Stats) bool { return q.InFlight > 0 }) {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Client returns a client of the stack's queues.
func (s *Stack) Client(ctx context.Context) (*client.Client, error) { return Client(ctx, s.Fleet) }

// Client returns a client of a fleet's queues.
func Client(ctx context.Context, f *wire.Fleet) (*client.Client, error) {
	requests, err := f.Requests(ctx)
	if err != nil {
		return nil, err
	}
	results, err := f.Results(ctx)
	if err != nil {
		return nil, err
	}
	return &client.Client{Requests: requests, Results: results}, nil
}

// Settings are the variables for separate processes besides the stack's own
// environment, as NAME=value.
func (s *Stack) Settings() []string {
	var tenants []string
	if file := s.options.Fleet.TenantsFile; file != "" {
		tenants = []string{"SCRIPTFLEET_TENANTS=" + file}
	}
	return append(tenants,
		"SCRIPTFLEET_DEFAULT_RUNTIME="+s.options.Fleet.DefaultRuntime,
		"SCRIPTFLEET_SHELL_BASE="+s.options.Fleet.ShellBase,
		"SCRIPTFLEET_ARCH="+s.options.Fleet.Arch,
	)
}

// fit adapts the settings to this machine: functions are for its architecture,
// and if the default runtime is not installed, it is replaced by the newest
// runtime that Lambda offers and that is installed.
func fit(ctx context.Context, f *config.Fleet) error {
	f.Arch = "x86_64"
	if runtime.GOARCH == "arm64" {
		f.Arch = runtime.GOARCH
	}
	interpreters, err := interpreter.Default(ctx)
	if err != nil {
		return fmt.Errorf("find Python, which the embedded stack runs scripts with: %w", err)
	}
	offers, err := f.Catalog()
	if err != nil {
		return err
	}
	if set, ok := offers.Find(f.DefaultRuntime); ok {
		if _, here := interpreters.For(set.Python); here {
			return nil
		}
	}
	names := offers.Names(time.Now(), f.AllowRetired)
	for i := len(names) - 1; i >= 0; i-- {
		offer, _ := offers.Find(names[i])
		if _, here := interpreters.For(offer.Python); here && !offer.Shell {
			f.DefaultRuntime, f.ShellBase = offer.Name, offer.Name
			return nil
		}
	}
	return fmt.Errorf("this machine has Python %v and Lambda offers none of them: install one of the runtimes %v", interpreters.Minors(), names)
}
