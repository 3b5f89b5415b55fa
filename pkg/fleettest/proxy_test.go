package fleettest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy stands between one worker and Lambda: it sees what the worker calls, and
// when, and may hold calls back.
type proxy struct {
	url     string
	forward http.Handler
	closed  <-chan struct{}

	mu    sync.Mutex
	calls []call
	held  string // the operation that is not let through
}

type call struct {
	op string // such as CreateFunction
	at time.Time
}

func startProxy(t *testing.T, endpoint string) *proxy {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	p := &proxy{closed: closed, forward: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}}
	server := httptest.NewServer(p)
	p.url = server.URL
	t.Cleanup(func() { close(closed); server.CloseClientConnections(); server.Close() })
	return p
}

// ServeHTTP notes the call. One that is held back waits until its caller is
// gone, and is not carried out.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := operation(r)
	p.mu.Lock()
	p.calls = append(p.calls, call{op, time.Now()})
	held := op != "" && p.held == op
	p.mu.Unlock()
	if held {
		select {
		case <-r.Context().Done():
		case <-p.closed:
		}
		return
	}
	p.forward.ServeHTTP(w, r)
}

func operation(r *http.Request) string {
	switch {
	case r.Method != http.MethodPost:
		return ""
	case strings.HasSuffix(r.URL.Path, "/invocations"):
		return "Invoke"
	case strings.HasSuffix(r.URL.Path, "/functions"):
		return "CreateFunction"
	}
	return ""
}

// of are the times of the calls of an operation.
func (p *proxy) of(op string) (at []time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if c.op == op {
			at = append(at, c.at)
		}
	}
	return at
}

func (p *proxy) hold(op string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = op
}
