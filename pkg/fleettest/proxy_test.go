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

// proxy is between one worker and Lambda: it records the worker's calls and
// their times, and can hold calls.
type proxy struct {
	url     string
	forward http.Handler
	closed  <-chan struct{}

	mu    sync.Mutex
	calls []call
	held  string // the operation that is held
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
		r.Out.Host = r.In.Host // the signature covers it
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}}
	server := httptest.NewServer(p)
	p.url = server.URL
	t.Cleanup(func() { close(closed); server.CloseClientConnections(); server.Close() })
	return p
}

// ServeHTTP records the call. A held call waits until its caller has gone, and
// is never forwarded.
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

// of returns the times of an operation's calls.
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
