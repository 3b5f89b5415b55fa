package tenant

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config says which file is followed.
type Config struct {
	Path  string        // empty for no file: every tenant has the defaults
	Every time.Duration // how often Run checks the file for a change; default 5 s
}

// Deps of a File.
type Deps struct {
	Log        *zap.Logger           // nil logs nothing
	Registerer prometheus.Registerer // nil registers no metrics
}

// File follows the file of settings. Its methods are safe for concurrent use,
// except Watch.
type File struct {
	cfg     Config
	log     *zap.Logger
	current atomic.Pointer[Settings]

	watchers []func(*Settings)

	// Owned by the goroutine of Run.
	seen   stamp
	digest [sha256.Size]byte // of the settings in use

	loaded, refused prometheus.Counter
	faulty, named   prometheus.Gauge
}

// stamp is compared to see whether the file changed. It also changes when the
// file is replaced by a rename or by a change of a symbolic link.
type stamp struct {
	size int64
	time time.Time
}

// New reads the file. It fails where the file is missing or faulty, so that a
// fleet does not start with wrong settings.
func New(cfg Config, deps Deps) (*File, error) {
	if cfg.Every <= 0 {
		cfg.Every = 5 * time.Second
	}
	f := &File{cfg: cfg, log: deps.Log}
	if f.log == nil {
		f.log = zap.NewNop()
	}
	f.register(promauto.With(deps.Registerer))
	f.current.Store(&Settings{})
	if cfg.Path == "" {
		return f, nil
	}
	if err := f.look(); err != nil {
		return nil, fmt.Errorf("read tenants' settings: %w", err)
	}
	return f, nil
}

func (f *File) register(with promauto.Factory) {
	loads := with.NewCounterVec(prometheus.CounterOpts{
		Name: "scriptfleet_tenant_settings_reads_total",
		Help: "Changed files of tenants' settings that were read, by outcome.",
	}, []string{"outcome"})
	f.loaded, f.refused = loads.WithLabelValues("loaded"), loads.WithLabelValues("refused")
	f.faulty = with.NewGauge(prometheus.GaugeOpts{
		Name: "scriptfleet_tenant_settings_faulty",
		Help: "1 while the file of tenants' settings is faulty or missing and the last good settings stay in use.",
	})
	f.named = with.NewGauge(prometheus.GaugeOpts{
		Name: "scriptfleet_tenant_settings_tenants",
		Help: "Tenants that the settings in use name.",
	})
}

// Settings returns the settings in use now. Call it once where several values
// must come from the same file.
func (f *File) Settings() *Settings { return f.current.Load() }

// Limits is Settings().Limits.
func (f *File) Limits(tenant string) Limits { return f.Settings().Limits(tenant) }

// Admit is Settings().Admit.
func (f *File) Admit(tenant string) *run.Error { return f.Settings().Admit(tenant) }

// Role is Settings().Role.
func (f *File) Role(tenant, name string) (credential.Role, bool) {
	return f.Settings().Role(tenant, name)
}

// Watch calls with with the settings in use, and has Run call it with each new
// settings before they come into use. Watch must be called before Run.
func (f *File) Watch(with func(*Settings)) {
	f.watchers = append(f.watchers, with)
	with(f.Settings())
}

// Run follows the file until ctx ends. It never fails.
func (f *File) Run(ctx context.Context) error {
	if f.cfg.Path == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(f.cfg.Every)
	defer tick.Stop()
	broken := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			broken = f.follow(broken)
		}
	}
}

// follow checks the file once, and logs a fault unless it is the one that was
// logged last (told). It returns the fault, or "".
func (f *File) follow(told string) string {
	err := f.look()
	if err == nil {
		f.faulty.Set(0)
		return ""
	}
	f.faulty.Set(1)
	// The file may have been read while it was half written, and its time may
	// not change until it is complete: read it again at the next check.
	f.seen = stamp{}
	if err.Error() == told {
		return told
	}
	f.refused.Inc()
	f.log.Error("the file of tenants' settings is faulty or missing; the last good settings stay in use", zap.String("path", f.cfg.Path), zap.Error(err))
	return err.Error()
}

// look reads the file if it changed.
func (f *File) look() error {
	info, err := os.Stat(f.cfg.Path)
	if err != nil {
		return err
	}
	// The stamp is taken before the file is read, so a write in between changes
	// the stamp and is read at the next check.
	s := stampOf(info)
	if s == f.seen {
		return nil
	}
	f.seen = s
	data, err := os.ReadFile(f.cfg.Path)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	if digest == f.digest {
		return nil
	}
	settings, err := Parse(data)
	if err != nil {
		return err
	}
	f.digest = digest
	for _, w := range f.watchers {
		w(settings) // before they come into use
	}
	f.current.Store(settings)
	f.loaded.Inc()
	f.named.Set(float64(settings.Len()))
	f.log.Info("tenants' settings read", zap.String("path", f.cfg.Path), zap.Int("tenants", settings.Len()))
	return nil
}

func stampOf(i fs.FileInfo) stamp { return stamp{i.Size(), i.ModTime()} }
