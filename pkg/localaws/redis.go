package localaws

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// redis is miniredis with a moving clock. The clock of miniredis stands still,
// and its ClockTTL option would check all keys at every command; so redis
// advances the clock in steps.
//
// The time of a step is proportional to the number of keys, and no command runs
// meanwhile. Steps are 10 ms apart while they are cheap. If they are slow, they
// are further apart, at most 250 ms, so that they take 1/20 of the time. A TTL
// may expire early by one step. TIME advances in the same steps.
type redis struct {
	listener net.Listener
	guests   *strangers
	server   *miniredis.Miniredis
	stop     chan struct{}
	ended    sync.WaitGroup
}

const (
	leastStep   = 10 * time.Millisecond
	mostStep    = 250 * time.Millisecond
	stepsShare  = 20 // steps may take 1/stepsShare of the time
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
	first, err := server.Dial() // starts it without a listener
	if err != nil {
		return nil, fmt.Errorf("start Redis: %w", errors.Join(err, listener.Close()))
	}
	_ = first.Close()
	r := &redis{listener: listener, guests: newStrangers(mostStrangers), server: server, stop: make(chan struct{})}
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

// accept serves connections until the listener is closed. If no file descriptor
// is free, it tries again a moment later.
func (r *redis) accept(password string) {
	for {
		conn, err := r.listener.Accept()
		switch {
		case err == nil:
			r.guests.came(conn)
			r.server.Server().ServeConn(newRedisDoor(conn, password, r.guests))
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
