package localaws

import (
	"fmt"
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
	server *miniredis.Miniredis
	stop   chan struct{}
	ended  chan struct{}
}

const (
	leastStep   = 10 * time.Millisecond
	mostStep    = 250 * time.Millisecond
	stepsShare  = 20 // one part in this many of the time may go into steps
	redisFlag   = "--redis-addr"
	awsAddrFlag = "--aws-addr"
)

func startRedis(addr, password string) (*redis, error) {
	server := miniredis.NewMiniRedis()
	server.RequireAuth(password)
	server.SetTime(time.Now())
	if err := server.StartAddr(addr); err != nil {
		return nil, fmt.Errorf("listen for Redis: %w", explainListen(err, redisFlag))
	}
	r := &redis{server: server, stop: make(chan struct{}), ended: make(chan struct{})}
	go r.run()
	return r, nil
}

func (r *redis) addr() string { return r.server.Addr() }

func (r *redis) close() {
	close(r.stop)
	<-r.ended
	r.server.Close()
}

func (r *redis) run() {
	defer close(r.ended)
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
