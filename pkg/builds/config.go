package builds

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// Config of a Builder. A zero value stands for the default noted with the
// field.
type Config struct {
	Prefix      string // of functions and layers; at most 19 characters (run.CheckPrefix); default scriptfleet
	RoleARN     string // the role without permissions that functions run under
	HandlerName string // entry point of the functions of scripts; default function.Handler
	Worker      string // name of this worker, which results of other workers show as waited_on

	// MaxBuilds is how many builds this worker makes at a time. A build takes
	// no turn from the worker's runs. Default 4.
	MaxBuilds int
	// MaxKnown bounds how many functions, and how many layers, this worker
	// remembers as built. It remembers at most 1,000 failures. Default 100,000.
	MaxKnown int

	// BuildAfter is after how many runs that an env runner has executed a script's
	// own function is built; see Bridge. Default 2.
	BuildAfter int

	LeaseTTL time.Duration // after this time another worker takes over a dead worker's build; default 15 s
	// BuildTimeout bounds one step of a build: waits for tokens count, waits
	// for the env's flight and for a place do not. Default 10 min.
	BuildTimeout time.Duration
	CallTimeout  time.Duration // bounds one try of a call of the control plane; default 60 s
	AwaitTimeout time.Duration // bounds the wait for a function to become Active; default 2 min

	PermanentFailure    time.Duration // how long an author's failure is remembered; default 5 min
	TransientFailure    time.Duration // how long the first other failure in a row is remembered, doubled for each next; default 5 s
	MaxTransientFailure time.Duration // upper bound of that; default 60 s
	RecordTTL           time.Duration // how long the record of a successful build is kept; default 30 days
}

// Deps of a Builder.
type Deps struct {
	Leases     lease.Leases
	Records    Records
	Limiter    ratelimit.Limiter
	Maker      function.Maker
	Layers     Layers
	Packager   Packager
	Denied     func() run.Denied // packages that no layer may have; nil for none
	Traces     *trace.Tracer     // nil for none
	Log        *zap.Logger
	Registerer prometheus.Registerer
}

// Layers builds layers from requirements.
type Layers interface {
	// Build returns the layer's zip and the packages in it, and as log the
	// output of the resolver and the compiler, also when it fails. An author's or operator's failure is a
	// *run.Error; any other error counts as a transient failure of the
	// platform.
	Build(ctx context.Context, s run.Script) (zip []byte, packages []run.Package, log string, err error)
}

// Packager makes the zip of a function from a script. Its errors mean the same
// as errors of Layers.
type Packager interface {
	Pack(ctx context.Context, s run.Script) (zip []byte, err error)
}

func (c Config) withDefaults() Config {
	orString(&c.Prefix, "scriptfleet")
	orString(&c.HandlerName, function.Handler)
	orInt(&c.MaxBuilds, 4)
	orInt(&c.MaxKnown, 100_000)
	orInt(&c.BuildAfter, 2)
	orDuration(&c.LeaseTTL, 15*time.Second)
	orDuration(&c.BuildTimeout, 10*time.Minute)
	orDuration(&c.CallTimeout, time.Minute)
	orDuration(&c.AwaitTimeout, 2*time.Minute)
	orDuration(&c.PermanentFailure, 5*time.Minute)
	orDuration(&c.TransientFailure, 5*time.Second)
	orDuration(&c.MaxTransientFailure, time.Minute)
	orDuration(&c.RecordTTL, 30*24*time.Hour)
	return c
}

func orString(v *string, d string) {
	if *v == "" {
		*v = d
	}
}

func orInt(v *int, d int) {
	if *v <= 0 {
		*v = d
	}
}

func orDuration(v *time.Duration, d time.Duration) {
	if *v <= 0 {
		*v = d
	}
}
