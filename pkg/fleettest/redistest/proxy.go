package redistest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands before Redis as a managed one's does: clients know one address
// for good, and each new connection goes to the server that leads.
type Proxy struct {
	Addr string

	mu   sync.Mutex
	to   string
	says [][2]string // words of a server, and those that clients get for them
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

// URL is that of the database 0.
func (p *Proxy) URL() string { return "redis://" + p.Addr + "/0" }

// Lead has new connections go to another server. Those that are open stay.
func (p *Proxy) Lead(to *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to.Addr
}

// Reword has the proxy say something else where a server says so.
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

// answer passes answers on. Words are looked for in what one read brings: the
// answers that are reworded are short.
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
