package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// proxy is between the workers and the embedded Lambda. It counts the calls of
// the control plane, can hold them, and can answer invocations itself, as a stub
// of a function that does nothing.
type proxy struct {
	url    string
	server *http.Server
	next   http.Handler

	stub atomic.Bool

	mu   sync.Mutex
	seen []string      // calls that count towards the limit of 15 a second
	all  []call        // that have ended
	hold chan struct{} // if not nil, calls of the control plane wait until it is closed
}

func openProxy(endpoint string) (*proxy, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{url: "http://" + listener.Addr().String()}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	// The signature covers the host, so it stays the proxy's.
	p.next = &httputil.ReverseProxy{Transport: transport, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	p.server = &http.Server{Handler: p}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *proxy) close() {
	p.release()
	_ = p.server.Close()
}

const nothing = `{"output": null, "error": null, "stdout": "", "stderr": "", "truncated": false}`

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	defer func() { p.ended(call{opOf(r), began, time.Now()}) }()
	switch {
	case !strings.HasSuffix(r.URL.Path, "/invocations"):
		if r.Method != http.MethodGet || !isGetFunction(r.URL.Path) { // which has a limit of its own
			p.await(r)
		}
	case p.stub.Load():
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-amzn-RequestId", "stub")
		_, _ = w.Write([]byte(nothing))
		return
	}
	p.next.ServeHTTP(w, r)
}

// isGetFunction tells /2015-03-31/functions/NAME from other paths.
func isGetFunction(path string) bool {
	_, name, found := strings.Cut(path, "/functions/")
	return found && name != "" && !strings.Contains(name, "/")
}

// ended notes a call, unless too many were noted since it was asked last.
func (p *proxy) ended(c call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) < 1000 {
		p.all = append(p.all, c)
	}
}

// each call since it was asked last, in the order of their ends.
func (p *proxy) each() (all []call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, p.all = p.all, nil
	return all
}

// calls are those of the control plane since it was asked last.
func (p *proxy) calls() (seen []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, p.seen = p.seen, nil
	return seen
}

// await notes a call, and holds it if it is to.
func (p *proxy) await(r *http.Request) {
	p.mu.Lock()
	hold := p.hold
	p.seen = append(p.seen, r.Method+" "+r.URL.Path)
	p.mu.Unlock()
	if hold == nil {
		return
	}
	select {
	case <-hold:
	case <-r.Context().Done():
	}
}

// holdBack makes calls of the control plane wait until release.
func (p *proxy) holdBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = make(chan struct{})
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		close(p.hold)
		p.hold = nil
	}
}
