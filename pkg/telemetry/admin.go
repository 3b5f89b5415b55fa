package telemetry

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/scriptfleet/scriptfleet/pkg/probe"
)

// Admin serves pages about one process:
//
//	/metrics       for Prometheus; with exemplars if it asks for OpenMetrics
//	/healthz       200 while the process runs
//	/readyz        200 while the process takes work, else 503; its parts, and why one is down
//	/debug/pprof/  profiles
//
// The metric scriptfleet_process_ready is 1 while /readyz answers 200.
//
// Bind it to a loopback or private address. Only the profiles can have a
// password, since they can slow the process down. The pages contain no secrets,
// so there is no /debug/pprof/cmdline: a flag may contain one.
type Admin struct {
	listener net.Listener
	server   *http.Server
}

// AdminConfig configures an Admin.
type AdminConfig struct {
	Addr string // to listen on
	// User and Password protect the profiles by HTTP basic authentication, if
	// Password is not empty. They are for a process on a machine where scripts
	// run, since those can reach its loopback addresses.
	User, Password string
}

// ListenAdmin listens on the address. parts returns the parts of the process;
// the process is ready while all of them are up.
func ListenAdmin(cfg AdminConfig, reg *prometheus.Registry, parts func() []probe.State) (*Admin, error) {
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on the admin address %s (choose another with --admin-addr): %w", cfg.Addr, err)
	}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "scriptfleet_process_ready", Help: "1 while the process takes work, else 0.",
	}, func() float64 {
		if !readiness(parts).ready() {
			return 0
		}
		return 1
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", readiness(parts))
	mux.Handle("GET /debug/pprof/", cfg.guard(profiles()))
	return &Admin{listener: l, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}, nil
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.Handle("GET /debug/pprof/cmdline", http.NotFoundHandler())
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// guard requires the password, if there is one.
func (c AdminConfig) guard(next http.Handler) http.Handler {
	if c.Password == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(c.User+":"+c.Password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="profiles"`)
			http.Error(w, "the profiles ask for the key of the embedded stack: http://$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY@…", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Addr returns the address that it listens on.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Run serves until ctx ends.
func (a *Admin) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = a.server.Close() })
	defer stop()
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin address: %w", err)
	}
	return nil
}
