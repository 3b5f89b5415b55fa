package localaws

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// inProcess is miniredis with a moving clock. The clock of miniredis stands
// still, and its ClockTTL option would check all keys at every command; so
// inProcess advances the clock in steps.
//
// The time of a step is proportional to the number of keys, and no command runs
// meanwhile. Steps are 10 ms apart while they are cheap. If they are slow, they
// are further apart, at most 250 ms, so that they take 1/20 of the time. A TTL
// may expire early by one step. TIME advances in the same steps.
type inProcess struct {
	server *miniredis.Miniredis
	life   context.Context // ends with close
	stop   context.CancelFunc
	ended  sync.WaitGroup
}

const (
	leastStep  = 10 * time.Millisecond
	mostStep   = 250 * time.Millisecond
	stepsShare = 20 // steps may take 1/stepsShare of the time
)

func startInProcess(password string, guard panics.Guard) (*inProcess, error) {
	server := miniredis.NewMiniRedis()
	server.RequireAuth(password)
	server.SetTime(time.Now())
	first, err := server.Dial() // starts it without a listener
	if err != nil {
		return nil, fmt.Errorf("start miniredis: %w", err)
	}
	_ = first.Close()
	r := &inProcess{server: server}
	r.life, r.stop = context.WithCancel(context.Background())
	r.ended.Go(func() { guard.Loop(r.life, "clock", r.run) })
	return r, nil
}

func (r *inProcess) name() string { return "miniredis, in this process" }

func (r *inProcess) serve(client *admitted) { r.server.Server().ServeConn(client) }

func (r *inProcess) close() {
	r.stop()
	r.ended.Wait()
	r.server.Close()
}

func (r *inProcess) run() {
	last, wait := time.Now(), leastStep
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-r.life.Done():
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
