package redisfault

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Redial is a hook of a client. Once a server answers that it is not the primary
// any more, no connection that was opened before is used again: the client looks
// at a connection before it uses it, and opens another instead. Calls under way
// on the others end as they would have.
//
// The client does so by itself where the answer begins with READONLY. Some
// proxies, and scripts of Redis 6, word it otherwise.
func Redial() redis.Hook { return &redial{} }

// redial counts how often a server was left.
type redial struct{ left atomic.Int64 }

func (r *redial) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		since := r.left.Load()
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, left: &r.left, since: since}, nil
	}
}

func (r *redial) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if moved(err) {
			r.left.Add(1)
		}
		return err
	}
}

func (r *redial) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if moved(cmd.Err()) {
				r.left.Add(1)
				break
			}
		}
		return err
	}
}

// conn is a connection that can be left.
type conn struct {
	net.Conn
	left  *atomic.Int64
	since int64 // left, when the connection was opened
}

var errLeft = errors.New("the server is not the primary any more")

// SyscallConn is how the client looks at an idle connection.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.left.Load() != c.since {
		return nil, errLeft
	}
	if inner, ok := c.Conn.(syscall.Conn); ok {
		return inner.SyscallConn()
	}
	return unseen{}, nil
}

// unseen is a connection that can't be looked at, as with TLS: it is taken to be
// whole, and the call that uses it finds out.
type unseen struct{}

func (unseen) Control(func(uintptr)) error    { return nil }
func (unseen) Read(func(uintptr) bool) error  { return nil }
func (unseen) Write(func(uintptr) bool) error { return nil }
