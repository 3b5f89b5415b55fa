package redistest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a proxy like that of a managed Redis: clients use one address, and
// each new connection goes to the current primary.
type Proxy struct {
	Addr string

	mu   sync.Mutex
	to   string
	says [][2]string // replacements of a server's words for clients
}

// StartProxy starts a proxy to the server. It ends with the test.
func StartProxy(t testing.TB, to *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: to.Addr}
	t.Cleanup(func() { l.Close() })
	go p.serve(l)
	return p
}

// URL is the URL of database 0.
func (p *Proxy) URL() string { return "redis://" + p.Addr + "/0" }

// Lead sends new connections to another server. Open connections stay.
func (p *Proxy) Lead(to *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to.Addr
}

// Reword replaces a server's words in answers to clients.
func (p *Proxy) Reword(server, clients string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = append(p.says, [2]string{server, clients})
}

func (p *Proxy) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		to := p.to
		p.mu.Unlock()
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		go func() { defer out.Close(); _, _ = io.Copy(out, in) }()
		go func() { defer in.Close(); p.answer(in, out) }()
	}
}

// answer forwards answers. It searches each read by itself: the answers to be
// reworded are short.
func (p *Proxy) answer(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		out := buf[:n]
		p.mu.Lock()
		for _, s := range p.says {
			out = bytes.ReplaceAll(out, []byte(s[0]), []byte(s[1]))
		}
		p.mu.Unlock()
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}
