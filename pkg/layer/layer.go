// Package layer builds the layer of an env: requirements in, a deterministic
// zip of python/… out.
package layer

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config says where layers are kept and what they may cost. The zero value
// works.
type Config struct {
	CacheDir         string        // where built layers are kept; default scriptfleet/layers in the user's cache folder
	CacheBytes       int64         // most that the kept layers may take; default 2 GiB
	UV               string        // path of uv; default the one on the PATH, "none" for pip alone
	Index            string        // URL of the package index; default the one that the machine is set up for
	Arch             string        // x86_64 (default) or arm64, as Lambda names them
	MaxUnpackedBytes int64         // most that a layer may take unpacked; default DefaultMaxUnpackedBytes
	Timeout          time.Duration // for one build; default 5 minutes
}

// Deps is what a Builder needs of the rest.
type Deps struct {
	Log          *zap.Logger
	Registerer   prometheus.Registerer // nil registers no metrics
	Interpreters interpreter.Set

	// Progress, where set, is told each line of a build's log as it comes. It
	// must not block; builds may call it at the same time.
	Progress func(env run.EnvHash, line string)
}

// Layer is an env, built.
type Layer struct {
	Zip           []byte // not to be changed
	SHA256        string // of Zip, hex
	Bytes         int64  // of Zip
	UnpackedBytes int64  // of the files in it
	Log           string // what resolver and compiler said, at most 64 KB; kept with the layer
	Cached        bool   // it was there already
}

// Builder builds layers, and keeps them. Its methods may be called at the same
// time; how many builds run at once is the caller's to bound.
type Builder struct{}

// New checks the configuration and finds the installer.
func New(cfg Config, deps Deps) (*Builder, error) { return &Builder{}, nil }

// Build returns the layer of s's env: the kept one, or a new one. Failures are
// *run.Error, unless ctx ended; the log of a failed build is [Log] of the
// error.
func (b *Builder) Build(ctx context.Context, s run.Script) (Layer, error) {
	return Layer{}, errors.New("layer: not built yet")
}

// Log is the log of the build that failed with err, or "".
func Log(err error) string { return "" }
