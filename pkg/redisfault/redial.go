package redisfault

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Redial returns a hook for a client. Once a server has answered that it is no
// longer the primary, the client does not use the connections again that were
// opened before: it checks a connection before it uses it, finds it bad, and
// opens another. Calls under way on other connections are not affected.
//
// Without the hook, go-redis does this only for answers that begin with
// READONLY. Some proxies, and scripts of Redis 6, answer in other words.
func Redial() redis.Hook { return &redial{} }

// redial counts how often a server has answered that it is no longer the
// primary.
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

// conn is a connection that is bad once redial.left has changed.
type conn struct {
	net.Conn
	left  *atomic.Int64
	since int64 // the value of left when the connection was opened
}

var errLeft = errors.New("the server is not the primary any more")

// SyscallConn is called by go-redis when it checks an idle connection.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.left.Load() != c.since {
		return nil, errLeft
	}
	if inner, ok := c.Conn.(syscall.Conn); ok {
		return inner.SyscallConn()
	}
	return unseen{}, nil
}

// unseen stands for a connection that cannot be checked, such as one with TLS.
// The check finds it good, and the call that uses it fails if it is not.
type unseen struct{}

func (unseen) Control(func(uintptr)) error    { return nil }
func (unseen) Read(func(uintptr) bool) error  { return nil }
func (unseen) Write(func(uintptr) bool) error { return nil }
