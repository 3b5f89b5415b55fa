package localaws

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// functions is the Lambda endpoint. It starts in the background, because
// finding this machine's interpreters takes some tenths of a second and Start
// does not wait for it. Calls wait until it is ready.
type functions struct {
	cancel context.CancelFunc
	done   chan struct{} // closed once the next three fields are set
	server *lambda.Server
	walls  string // the walls of the sandbox on this machine
	err    error
}

func (s *Stack) openFunctions() error {
	f := &functions{done: make(chan struct{})}
	cfg := s.cfg.Lambda
	cfg.Region, cfg.Account, cfg.DB, cfg.Endpoint = s.cfg.Region, s.cfg.Account, s.db, s.Endpoint()
	cfg.Dir = filepath.Join(s.cfg.DataDir, "lambda")
	if s.cfg.DataDir == "" {
		cfg.Dir = s.scratch.dir
	}
	if cfg.CacheDir == "" {
		cfg.CacheDir = s.cfg.unpackedDir()
	}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	s.functions = f
	deps := lambda.Deps{Log: s.cfg.Log.Named("lambda"), FetchS3: s.s3.Fetch, SDK: s.cfg.SDK, Panicked: s.panics.Inc}
	go func() {
		defer close(f.done)
		if p := s.faults("functions").Catch(func() { f.open(ctx, cfg, deps) }, nil); p != nil {
			f.err = p
		}
	}()
	return nil
}

func (f *functions) open(ctx context.Context, cfg lambda.Config, deps lambda.Deps) {
	f.walls = sandbox.Probe().String()
	if deps.Interpreters, f.err = interpreter.Default(ctx); f.err != nil {
		return
	}
	f.server, f.err = lambda.New(cfg, deps)
}

// wait returns once functions can be made, or the error that prevents it.
func (f *functions) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ServeHTTP answers one call.
func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f.wait(r.Context()); err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", "ServiceException")
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "the embedded Lambda can't run functions: " + err.Error()})
		return
	}
	f.server.ServeHTTP(w, r)
}

func (f *functions) close(ctx context.Context) error {
	f.cancel()
	<-f.done
	if f.server == nil {
		return nil
	}
	return f.server.Close(ctx)
}

// Ready returns once functions can be made and invoked, or the error that
// prevents it. Everything else is ready when Start returns.
func (s *Stack) Ready(ctx context.Context) error { return s.functions.wait(ctx) }

// Sandbox returns the walls behind which scripts run on this machine, or "" if
// ctx ends before they are known.
func (s *Stack) Sandbox(ctx context.Context) string {
	select {
	case <-s.functions.done:
		return s.functions.walls
	case <-ctx.Done():
		return ""
	}
}

// LambdaFaults returns Lambda's set of faults, for tests. It waits until Lambda
// is ready, and returns nil if it does not become ready.
func (s *Stack) LambdaFaults(ctx context.Context) *lambda.Faults {
	if s.functions.wait(ctx) != nil {
		return nil
	}
	return s.functions.server.Faults()
}
