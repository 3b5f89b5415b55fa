package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config configures a console.
type Config struct {
	Addr         string        // to listen on
	Hosts        []string      // names under which browsers reach it, besides loopback's
	AllowRuns    bool          // runs can be started, and those cancelled
	AllowChanges bool          // tenants can be paused, dead letters redriven, any run cancelled
	UserHeader   string        // header in which a proxy names who is logged in; empty for none
	Results      string        // queue to read results from; empty: the fleet's; ResultsNone: none
	Sample       time.Duration // between two looks at the fleet; 0: 10 s
}

// ResultsNone is Config.Results of a console that reads no results.
const ResultsNone = "none"

// Deps are what a console uses.
type Deps struct {
	Fleet  *wire.Fleet
	Log    *zap.Logger
	Builds *BuildLogs // of workers in this process; nil for none
}

// Console is a server that listens.
type Console struct {
	cfg      Config
	deps     Deps
	log      *zap.Logger
	listener net.Listener
	server   *http.Server
	key      string // that a browser must have; empty where a proxy logs people in
	pages    *pages
	own      *ownRuns
	samples  *samples
	letters  *letterBox
	streams  chan struct{} // a place for each live part that is open
	lastEdit atomic.Pointer[edit]
	notes    notes
}

// Bounds of what the server takes.
const (
	maxBody    = 4 << 20 // of a form: a script and an input of 1 MiB each, escaped
	maxStreams = 64
	maxHeader  = 32 << 10
)

// Listen checks cfg and listens. Run serves.
func Listen(ctx context.Context, cfg Config, deps Deps) (*Console, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Sample == 0 {
		cfg.Sample = 10 * time.Second
	}
	own, err := newOwnRuns(ctx, cfg, deps)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on the console's address %s (choose another with --addr): %w", cfg.Addr, err)
	}
	c := &Console{
		cfg: cfg, deps: deps, log: deps.Log, listener: l, own: own,
		samples: newSamples(deps.Fleet, cfg.Sample, deps.Log), letters: newLetterBox(deps.Fleet), streams: make(chan struct{}, maxStreams),
	}
	if cfg.UserHeader == "" {
		c.key = rand.Text()
	}
	c.pages = newPages(c)
	c.server = &http.Server{
		Handler: c.guard(c.routes()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: maxHeader, ErrorLog: zap.NewStdLog(deps.Log.Named("http")),
	}
	return c, nil
}

// Check fails if others could do with the console what it allows. The error names
// the flag to change.
func (c Config) Check() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("--addr %s is no address, such as 127.0.0.1:8765: %w", c.Addr, err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	switch {
	case len(c.Hosts) == 0:
		return fmt.Errorf("--addr %s is not a loopback address: name with --host the host that browsers ask for, so that no other site's name leads to the console", c.Addr)
	case c.UserHeader == "":
		return fmt.Errorf("--addr %s is not a loopback address: put a proxy in front that logs people in, and name with --user-header the header in which it tells who it is", c.Addr)
	}
	return nil
}

// Addr is the address that it listens on.
func (c *Console) Addr() string { return c.listener.Addr().String() }

// URL is the address to open, with the key where one is needed.
func (c *Console) URL() string {
	u := url.URL{Scheme: "http", Host: c.Addr(), Path: "/"}
	if c.key != "" {
		u.RawQuery = url.Values{"key": {c.key}}.Encode()
	}
	return u.String()
}

// Run serves until ctx ends. Open live parts end with it.
func (c *Console) Run(ctx context.Context) error {
	c.server.BaseContext = func(net.Listener) context.Context { return ctx }
	var parts panics.Group
	parts.Go(func() error { c.samples.run(ctx); return nil })
	parts.Go(func() error { c.own.run(ctx); return nil })
	defer context.AfterFunc(ctx, func() { _ = c.server.Close() })()
	err := c.server.Serve(c.listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, parts.Wait())
}

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/try", http.StatusSeeOther) })
	mux.HandleFunc("GET /static/{file}", c.pages.static)
	mux.HandleFunc("GET /try", c.tryPage)
	mux.HandleFunc("POST /try", c.startRun)
	mux.HandleFunc("POST /try/request", c.showRequest)
	mux.HandleFunc("GET /runs", c.runsPage)
	mux.HandleFunc("GET /runs/{key}", c.runPage)
	mux.HandleFunc("GET /runs/{key}/live", c.runLive)
	mux.HandleFunc("POST /runs/{key}/cancel", c.cancelRun)
	mux.HandleFunc("GET /fleet", c.fleetPage)
	mux.HandleFunc("GET /fleet/live", c.fleetLive)
	mux.HandleFunc("GET /letters", c.lettersPage)
	mux.HandleFunc("GET /letters/{id}", c.letterPage)
	mux.HandleFunc("POST /letters/redrive", c.redrive)
	mux.HandleFunc("GET /tenants", c.tenantsPage)
	mux.HandleFunc("POST /tenants/{act}", c.editTenant)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, http.StatusNotFound, errors.New("the console has no such page"))
	})
	return mux
}

// runtimes are the names that the form offers.
func (c *Console) runtimes() ([]string, error) {
	catalog, err := c.deps.Fleet.Settings.Catalog()
	if err != nil {
		return nil, err
	}
	names := catalog.Names(time.Now(), c.deps.Fleet.Settings.AllowRetired)
	slices.Reverse(names)
	return names, nil
}

// change logs what a person has changed.
func (c *Console) change(r *http.Request, what string, fields ...zap.Field) {
	c.log.Info("console: "+what, append(fields, zap.String("by", c.who(r)), zap.String("from", r.RemoteAddr))...)
}

// source is the source of the console's requests.
const source = "/scriptfleet/console"

func keyOf(r run.Request) run.Key { return run.KeyOf(r.Tenant, r.Source, r.ID) }
