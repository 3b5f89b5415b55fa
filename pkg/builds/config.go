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
)

// Config of a Builder. Zero values take the defaults that are noted.
type Config struct {
	Prefix      string // of functions and layers; at most 20 characters; default scriptfleet
	RoleARN     string // the role without permissions that functions run under
	HandlerName string // entry point of the packaged functions; default function.Handler
	Worker      string // name of this worker, which others see as waited_on

	// MaxBuilds is how many builds this worker makes at a time. They are not
	// the worker's run slots: a build never takes one. Default 4.
	MaxBuilds int
	// MaxKnown bounds the names of built functions, and the failures, that are
	// answered from memory. Default 100,000.
	MaxKnown int

	LeaseTTL     time.Duration // default 15 s; a dead builder's work is taken up after it
	BuildTimeout time.Duration // bounds one build, its waits included; default 10 min
	CallTimeout  time.Duration // bounds one call of the control plane; default 60 s
	AwaitTimeout time.Duration // bounds Pending to Active; default 2 min

	PermanentFailure    time.Duration // how long an author's failure is remembered; default 5 min
	TransientFailure    time.Duration // the first of a row of transient ones; doubles; default 5 s
	MaxTransientFailure time.Duration // what it grows to; default 60 s
	RecordTTL           time.Duration // how long the record of a built one is kept; default 30 days
}

// Deps of a Builder.
type Deps struct {
	Leases     lease.Leases
	Records    Records
	Limiter    ratelimit.Limiter
	Maker      function.Maker
	Layers     Layers
	Packager   Packager
	Log        *zap.Logger
	Registerer prometheus.Registerer
}

// Layers builds layers from requirements.
type Layers interface {
	// Build returns the layer's zip, and what the resolver and the compiler
	// said, where it fails too. A failure that somebody has to mend is a
	// *run.Error; any other is taken for a transient one of the platform's.
	Build(ctx context.Context, s run.Script) (zip []byte, log string, err error)
}

// Packager makes the zip of a function from a script. Its errors are read as
// those of Layers are.
type Packager interface {
	Pack(ctx context.Context, s run.Script) (zip []byte, err error)
}

func (c Config) withDefaults() Config {
	orString(&c.Prefix, "scriptfleet")
	orString(&c.HandlerName, function.Handler)
	orInt(&c.MaxBuilds, 4)
	orInt(&c.MaxKnown, 100_000)
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
