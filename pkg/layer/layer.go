package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// DefaultMaxUnpackedBytes is Lambda's limit for a function and its layers, 250
// MB, less 2 MiB for the function's own code: whether an env fits must not
// depend on the script that is built first.
const DefaultMaxUnpackedBytes = 250<<20 - 2<<20

// Config sets where layers are kept and the limits of builds. The zero value
// means the defaults.
type Config struct {
	CacheDir         string        // folder of the built layers; default scriptfleet/layers in the user's cache folder
	CacheBytes       int64         // limit of the kept layers together; default 2 GiB
	Downloads        string        // a download cache for all builds; empty (default): each build has its own
	UV               string        // path of uv; default the one on the PATH, or else one that the first build fetches; NoUV for pip
	Index            string        // URL of the package index; default the machine's setting
	SourceBuilds     bool          // build packages that exist only as source; needs uv
	MaxUnpackedBytes int64         // limit of a layer, unpacked; default DefaultMaxUnpackedBytes
	Timeout          time.Duration // for one build; default 5 minutes
}

// NoUV as Config.UV makes all builds use pip.
const NoUV = "none"

// Deps are a Builder's dependencies.
type Deps struct {
	Log          *zap.Logger
	Registerer   prometheus.Registerer // nil registers no metrics
	Interpreters interpreter.Set

	// PrivateIndex returns the package index of a script whose PrivateIndex
	// names one: such a layer belongs to that tenant alone. It is nil where no
	// tenant has one.
	PrivateIndex func(ctx context.Context, s run.Script) (PrivateIndex, error)

	// Denied are the packages that no layer may have; nil for none.
	Denied func() run.Denied

	// Progress is called with each line of a build's log. It must not block;
	// builds call it concurrently. May be nil.
	Progress func(env run.EnvHash, line string)
}

// Layer is a built env.
type Layer struct {
	Zip           []byte        // must not be changed
	SHA256        string        // of Zip, hex
	UnpackedBytes int64         // of the files in it
	Packages      []run.Package // by name; kept with the layer
	Log           string        // output of the installer and the compiler, at most 64 KB; kept with the layer
	Cached        bool          // it was kept from an earlier build
}

// Builder builds and keeps layers. It is safe for concurrent use; the caller
// limits the number of concurrent builds.
type Builder struct {
	cfg       Config
	deps      Deps
	installer installer
	uv        *uvSource
	cache     *cache
	meters    meters
}

// New checks the configuration, makes the cache folder and looks for uv; it
// logs which installer builds will use. A machine with neither uv nor pip is no
// error: it can build scripts without requirements.
func New(cfg Config, deps Deps) (*Builder, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make layer builder: %w", err)
	}
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	c, err := openCache(cfg.CacheDir, cfg.CacheBytes)
	if err != nil {
		return nil, fmt.Errorf("make layer builder: %w", err)
	}
	if cfg.Downloads != "" {
		if err := os.MkdirAll(cfg.Downloads, 0o755); err != nil {
			return nil, fmt.Errorf("make download cache: %w", err)
		}
	}
	uv, err := newUVSource(cfg, deps.Log)
	if err != nil {
		return nil, fmt.Errorf("make layer builder: %w", err)
	}
	b := &Builder{cfg: cfg, deps: deps, installer: newInstaller(cfg, deps.Interpreters), uv: uv, cache: c, meters: newMeters(deps.Registerer)}
	uv.fetch = b.fetchUV
	return b, nil
}

func (c Config) withDefaults() (Config, error) {
	if c.CacheDir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("find the user's cache folder: %w", err)
		}
		c.CacheDir = filepath.Join(user, "scriptfleet", "layers")
	}
	c.CacheBytes = orDefault(c.CacheBytes, 2<<30)
	c.MaxUnpackedBytes = orDefault(c.MaxUnpackedBytes, DefaultMaxUnpackedBytes)
	c.Timeout = orDefault(c.Timeout, 5*time.Minute)
	var err error
	if c.CacheDir, err = filepath.Abs(c.CacheDir); err == nil && c.Downloads != "" {
		c.Downloads, err = filepath.Abs(c.Downloads)
	}
	return c, err
}

func orDefault[T ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Build is Layer with the signature that pkg/builds needs: the zip and its
// packages, and the log, also on failure.
func (b *Builder) Build(ctx context.Context, s run.Script) (zip []byte, packages []run.Package, log string, err error) {
	l, err := b.Layer(ctx, s)
	return l.Zip, l.Packages, l.Log, err
}

// Layer returns the layer of s's env: the kept one, or a new one. The error is
// a *run.Error, or wraps a *panics.Error or ctx's error. With an error the
// returned Layer has only its Log set.
func (b *Builder) Layer(ctx context.Context, s run.Script) (Layer, error) {
	if s.EnvHash == "" || s.Requirements == "" {
		return Layer{}, errors.New("build layer: the script requires nothing")
	}
	if l, ok := b.kept(s.EnvHash); ok {
		b.meters.done(outcomeCached, 0)
		return l, nil
	}
	began := time.Now()
	l, err := b.make(ctx, s)
	b.meters.done(outcomeOf(err), time.Since(began))
	if err != nil {
		return Layer{Log: l.Log}, err
	}
	if err := b.cache.put(s.EnvHash, l); err != nil {
		// The layer is usable; the next worker has to build it again.
		b.deps.Log.Warn("could not keep a layer", zap.String("env_hash", string(s.EnvHash)), zap.Error(err))
	}
	return l, nil
}

func (b *Builder) kept(env run.EnvHash) (Layer, bool) {
	l, err := b.cache.get(env)
	if err == nil {
		l.Cached = true
		_, denied := b.denied().First(l.Packages)
		return l, !denied && len(l.Packages) > 0 // an older version kept none
	}
	if !errors.Is(err, os.ErrNotExist) {
		b.deps.Log.Warn("discarded a kept layer, building it again", zap.String("env_hash", string(env)), zap.Error(err))
	}
	return Layer{}, false
}
