package localaws

import (
	"net"
	"net/http"
	"sync"
)

// unused holds connections that have had no request yet: clients open some in
// advance. Server.Shutdown would wait 5 s for each of them.
type unused struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
}

func newUnused() *unused { return &unused{conns: map[net.Conn]struct{}{}} }

// watch is the server's ConnState.
func (u *unused) watch(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, c)
	case u.conns == nil:
		_ = c.Close()
	default:
		u.conns[c] = struct{}{}
	}
}

// close closes these connections, and later ones at once.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		_ = c.Close()
	}
	u.conns = nil
}
