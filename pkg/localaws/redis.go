package localaws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

const (
	redisFlag   = "--redis-addr"
	awsAddrFlag = "--aws-addr"
)

// redis is the stack's Redis: a listener, a door that each connection goes
// through, and a server that receives only connections with the password.
type redis struct {
	listener net.Listener
	password string
	server   redisServer
	ended    sync.WaitGroup
	guests   *strangers // connections at the door
	guard    panics.Guard

	mu     sync.Mutex
	closed bool
}

// redisServer serves clients that have sent the password.
type redisServer interface {
	name() string
	serve(client *admitted) // owns the connection from then on, and returns at once
	close()                 // ends the connections too
}

// redisProgram is searched on PATH. Without it the stack uses miniredis, which
// takes seven times as long for a Lua script.
const redisProgram = "redis-server"

// startRedis listens on addr. The server is the program, with its socket in dir,
// or miniredis if the program is missing or unfit.
func startRedis(addr, password, program, dir string, guard panics.Guard) (*redis, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for Redis: %w", explainListen(err, redisFlag))
	}
	server, err := redisBehind(program, password, dir, guard)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	r := &redis{listener: listener, password: password, server: server, guests: newStrangers(mostStrangers), guard: guard}
	r.ended.Go(func() { guard.Loop(context.Background(), "redis", r.accept) })
	return r, nil
}

func redisBehind(program, password, dir string, guard panics.Guard) (redisServer, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return startInProcess(password, guard)
	}
	child, err := startRedisChild(path, password, dir, guard.Log)
	if err != nil {
		guard.Log.Warn("redis-server can't be used, miniredis is", zap.String("path", path), zap.Error(err))
		return startInProcess(password, guard)
	}
	return child, nil
}

func (r *redis) addr() string { return r.listener.Addr().String() }

func (r *redis) close() {
	_ = r.listener.Close()
	r.guests.close()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.server.close()
	r.ended.Wait()
}

// accept serves connections until the listener is closed. If no file descriptor
// is free, it tries again a moment later.
func (r *redis) accept() {
	for {
		conn, err := r.listener.Accept()
		switch {
		case err == nil:
			r.guests.came(conn)
			r.ended.Go(func() { r.guard.Catch(func() { r.letIn(conn) }, nil) })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			<-time.After(10 * time.Millisecond)
		}
	}
}

// letIn hands a connection to the server after the password.
func (r *redis) letIn(conn net.Conn) {
	client, err := openDoor(conn, r.password)
	r.guests.left(conn)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.closed {
		_ = conn.Close()
		return
	}
	r.server.serve(client)
}
