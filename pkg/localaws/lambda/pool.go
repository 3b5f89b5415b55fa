package lambda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"
)

// pool holds the environments of one function. All its fields are guarded by
// Server.mu.
type pool struct {
	server  *Server
	program *program
	closed  bool

	idle     []*environment // the most recently used is last, and is used first
	busy     int
	starting int
	waiting  []*waiter // in the order in which they came

	cold     time.Duration // what a start takes, as far as is known
	service  time.Duration // what an invocation takes, as far as is known; 0 where it is not
	freed    time.Time     // when an environment last became free
	rescale  *time.Timer
	inFlight int // invocations, waiting ones included
}

// waiter is an invocation that waits for an environment.
type waiter struct {
	since time.Time
	got   chan supply
}

// supply is an environment, or the outcome of an init phase that failed, which
// is the invocation's own outcome.
type supply struct {
	env    *environment
	failed *outcome
	err    error
}

// leastPatience and mostPatience bound how long an invocation waits for a
// running environment before another one is started for it.
const (
	leastPatience = 10 * time.Millisecond
	mostPatience  = 250 * time.Millisecond
)

// acquire gets an environment that is ready: an idle one, the first to become
// free, or a new one; see the package's documentation for which.
func (p *pool) acquire(ctx context.Context) (supply, error) {
	s := p.server
	s.mu.Lock()
	if p.closed {
		s.mu.Unlock()
		return supply{}, errClosed
	}
	if env := p.takeIdle(); env != nil {
		s.mu.Unlock()
		return supply{env: env}, nil
	}
	w := &waiter{since: time.Now(), got: make(chan supply, 1)}
	p.waiting = append(p.waiting, w)
	p.scale()
	s.mu.Unlock()
	select {
	case got := <-w.got:
		return got, got.err
	case <-ctx.Done():
		return supply{}, p.giveUp(ctx, w)
	}
}

// takeIdle takes the most recently used idle environment; s.mu is held.
func (p *pool) takeIdle() *environment {
	for n := len(p.idle) - 1; n >= 0; n-- {
		env := p.idle[n]
		p.idle = p.idle[:n]
		if !env.gone() {
			p.busy++
			return env
		}
		p.server.warm--
	}
	return nil
}

// giveUp takes a waiter back; what it was given meanwhile goes to the next.
func (p *pool) giveUp(ctx context.Context, w *waiter) error {
	s := p.server
	s.mu.Lock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	s.mu.Unlock()
	select {
	case got := <-w.got:
		if got.env != nil {
			p.release(got.env, outcome{})
		}
	default:
	}
	return ctx.Err()
}

var errClosed = errors.New("the function was deleted")

// release takes an environment back after an invocation.
func (p *pool) release(env *environment, o outcome) {
	s := p.server
	s.mu.Lock()
	p.busy--
	p.freed = time.Now()
	if o.took > 0 {
		p.service = blend(p.service, o.took)
	}
	if o.dead || p.closed {
		s.warm--
		p.scale()
		s.mu.Unlock()
		env.kill()
		return
	}
	p.offer(env)
	victims := s.surplus()
	s.mu.Unlock()
	for _, v := range victims {
		go v.kill()
	}
}

// offer gives a free environment to the first waiter, or keeps it warm; s.mu is
// held.
func (p *pool) offer(env *environment) {
	if len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.busy++
		w.got <- supply{env: env}
		p.scale()
		return
	}
	env.idleSince = time.Now()
	p.idle = append(p.idle, env)
}

// scale starts as many environments as the waiters are worth; s.mu is held.
func (p *pool) scale() {
	for !p.closed && p.starting < len(p.waiting) && p.wantsAnother() {
		p.starting++
		p.server.starts.Go(p.startOne)
	}
	if len(p.waiting) == 0 || p.closed {
		return
	}
	if p.rescale == nil {
		p.rescale = time.AfterFunc(p.patience(), p.scaleLater)
	} else {
		p.rescale.Reset(p.patience())
	}
}

func (p *pool) scaleLater() {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.scale()
}

// wantsAnother is the policy. With nothing running there is no choice. Where it
// is known how long invocations take, another environment is started when the
// queue would take longer than a start. Where nothing became free for as long
// as a start takes, as many are started as the machine can at a time.
func (p *pool) wantsAnother() bool {
	running := p.busy + p.starting
	if running == 0 {
		return true
	}
	if p.service*time.Duration(len(p.waiting)-p.starting)/time.Duration(running) > p.patience() {
		return true
	}
	since := p.waiting[p.starting].since // those before it have a start of their own
	if p.freed.After(since) {
		since = p.freed
	}
	return p.starting < cap(p.server.starts.slots) && time.Since(since) >= p.patience()
}

// patience is about what a start takes; before one was seen, rather more.
func (p *pool) patience() time.Duration {
	if p.cold == 0 {
		return mostPatience
	}
	return min(max(p.cold, leastPatience), mostPatience)
}

// startOne starts an environment and goes through its init phase, unless by the
// time that it may start nobody waits for one any more.
func (p *pool) startOne() {
	s := p.server
	s.mu.Lock()
	if len(p.waiting) == 0 || p.closed {
		p.starting--
		s.mu.Unlock()
		return
	}
	s.warm++
	s.mu.Unlock()
	began := time.Now()
	env, failed, err := p.coldStart()
	s.mu.Lock()
	p.starting--
	if env != nil && !p.closed {
		p.cold = blend(p.cold, time.Since(began))
		p.offer(env)
		victims := s.surplus()
		s.mu.Unlock()
		for _, v := range victims {
			go v.kill()
		}
		return
	}
	s.warm--
	if env == nil && len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		w.got <- supply{failed: failed, err: err}
	}
	p.scale()
	s.mu.Unlock()
	if env != nil {
		env.kill()
	}
}

// coldStart goes through the init phase: at most 10 s, and where that was too
// short, once more under the function's own timeout.
func (p *pool) coldStart() (*environment, *outcome, error) {
	timeout := time.Duration(p.program.timeoutSeconds) * time.Second
	for _, patience := range []time.Duration{initPatience, timeout} {
		env, err := p.program.start(p.server.life)
		if err != nil {
			p.server.log.Error("start environment", zap.String("function", p.program.name), zap.Error(err))
			return nil, nil, fmt.Errorf("start environment: %w", err)
		}
		err = env.init(env.started.Add(patience))
		if err == nil {
			return env, nil, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && patience == initPatience && timeout > 0 {
			env.kill()
			continue
		}
		o := env.failInit(err, min(time.Since(env.started), patience))
		env.kill()
		return nil, &o, nil
	}
	panic("unreachable")
}

// failInit is what an invocation answers with whose environment never got
// ready.
func (e *environment) failInit(cause error, took time.Duration) outcome {
	id := newID()
	var failed *errInit
	if !errors.As(cause, &failed) {
		return e.end(id, cause, took)
	}
	exit := e.exit(cause)
	e.log.drain()
	e.log.printf("INIT_REPORT Init Duration: %.2f ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown\n", milliseconds(took))
	e.log.report(id, took, 0, e.program.memoryMB, exit.PeakMemory, "Status: error")
	return outcome{payload: failed.body, functionError: "Unhandled", log: e.log.tail(), took: took, dead: true}
}

// close ends the idle environments for good; busy ones end after their
// invocation. Waiters are told.
func (p *pool) close() {
	s := p.server
	s.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	s.warm -= len(idle)
	for _, w := range p.waiting {
		w.got <- supply{err: errClosed}
	}
	p.waiting = nil
	if p.rescale != nil {
		p.rescale.Stop()
	}
	s.mu.Unlock()
	for _, env := range idle {
		env.kill()
	}
}

// blend follows a quantity that changes.
func blend(have, seen time.Duration) time.Duration {
	if have == 0 {
		return seen
	}
	return (3*have + seen) / 4
}
