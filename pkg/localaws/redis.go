package localaws

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// redis is miniredis with a clock that moves. Its own stands still, and its
// ClockTTL would walk over all keys at every command; so the time that passed
// is given to it in steps.
//
// A step costs time in proportion to the keys and stops everything meanwhile:
// steps are 10 ms apart while they are cheap, and further when they are not,
// so that they take a twentieth of the time, but at most 250 ms. A TTL may run
// out early by one step. TIME moves in the same steps.
type redis struct {
	listener net.Listener
	server   *miniredis.Miniredis
	stop     chan struct{}
	ended    sync.WaitGroup
}

const (
	leastStep   = 10 * time.Millisecond
	mostStep    = 250 * time.Millisecond
	stepsShare  = 20 // one part in this many of the time may go into steps
	redisFlag   = "--redis-addr"
	awsAddrFlag = "--aws-addr"
)

func startRedis(addr, password string) (*redis, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for Redis: %w", explainListen(err, redisFlag))
	}
	server := miniredis.NewMiniRedis()
	server.RequireAuth(password)
	server.SetTime(time.Now())
	first, err := server.Dial() // which starts it without a listener of its own
	if err != nil {
		return nil, fmt.Errorf("start Redis: %w", errors.Join(err, listener.Close()))
	}
	_ = first.Close()
	r := &redis{listener: listener, server: server, stop: make(chan struct{})}
	r.ended.Go(r.run)
	r.ended.Go(func() { r.accept(password) })
	return r, nil
}

func (r *redis) addr() string { return r.listener.Addr().String() }

func (r *redis) close() {
	close(r.stop)
	_ = r.listener.Close()
	r.ended.Wait()
	r.server.Close()
}

// accept serves connections until the listener is closed. With no file
// descriptor left, a moment later there may be one.
func (r *redis) accept(password string) {
	for {
		conn, err := r.listener.Accept()
		switch {
		case err == nil:
			r.server.Server().ServeConn(newRedisDoor(conn, password))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			<-time.After(10 * time.Millisecond)
		}
	}
}

func (r *redis) run() {
	last, wait := time.Now(), leastStep
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-timer.C:
		}
		now := time.Now()
		r.server.FastForward(now.Sub(last))
		r.server.SetTime(now)
		last = now
		wait = min(max(leastStep, stepsShare*time.Since(now)), mostStep)
		timer.Reset(wait)
	}
}
