package localaws

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// Connections that the stack holds: scripts reach its ports where they share the
// machine's network, and each connection takes a file descriptor of it.
const (
	mostStrangers = 512 // of clients that have not said who they are, at each port
	connsOfAKey   = 64  // of a key that a script can have
	connsOfKeys   = 512 // of all of those
)

// strangers are the connections of clients that have not said who they are yet.
// Where there are too many, the oldest is closed: a client of the fleet says so
// with its first bytes, and one that opens connections for their own sake closes
// those that it opened before.
type strangers struct {
	most int

	mu     sync.Mutex
	line   list.List // oldest first
	places map[net.Conn]*list.Element
	closed bool
}

func newStrangers(most int) *strangers {
	return &strangers{most: most, places: map[net.Conn]*list.Element{}}
}

// came takes in a new connection.
func (s *strangers) came(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return
	}
	s.places[c] = s.line.PushBack(c)
	if s.line.Len() > s.most {
		oldest := s.line.Remove(s.line.Front()).(net.Conn)
		delete(s.places, oldest)
		_ = oldest.Close()
	}
}

// left is called once the client is known, or gone.
func (s *strangers) left(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place, ok := s.places[c]; ok {
		s.line.Remove(place)
		delete(s.places, c)
	}
}

// close ends all of them, and those that still come. A shutdown of net/http
// waits 5 s for each connection that has not spoken.
func (s *strangers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.places {
		_ = c.Close()
	}
}

// guests are the connections to the AWS port.
type guests struct {
	*strangers
	shares *auth.Shares

	mu    sync.Mutex
	keyOf map[net.Conn]string // of those that are taken from a key's share
}

func newGuests() *guests {
	return &guests{strangers: newStrangers(mostStrangers), shares: auth.NewShares(connsOfAKey, connsOfKeys), keyOf: map[net.Conn]string{}}
}

// watch is the server's ConnState.
func (g *guests) watch(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		g.came(c)
	case http.StateClosed, http.StateHijacked:
		g.left(c)
		g.mu.Lock()
		defer g.mu.Unlock()
		if key, ok := g.keyOf[c]; ok {
			g.shares.Give(key, 1)
			delete(g.keyOf, c)
		}
	}
}

type connKey struct{}

// mark is the server's ConnContext: its requests know their connection.
func (g *guests) mark(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// admit is told whose the requests of a connection are. It is false where that
// key has its share of connections already.
func (g *guests) admit(ctx context.Context, id auth.Identity) bool {
	c, _ := ctx.Value(connKey{}).(net.Conn)
	if !id.Fleet() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if _, known := g.keyOf[c]; !known {
			if !g.shares.Take(id.AccessKey, 1) {
				return false // it stays a stranger
			}
			g.keyOf[c] = id.AccessKey
		}
	}
	g.left(c)
	return true
}
