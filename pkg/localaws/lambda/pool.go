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

// pool holds the environments of one function. Server.mu guards all its fields.
type pool struct {
	server  *Server
	program *program
	closed  bool

	idle     []*environment // by last use; the last one, the most recently used, is taken first
	busy     int
	starting int
	waiting  []*waiter // in order of arrival

	cold     time.Duration // duration of a start, as last measured
	service  time.Duration // duration of an invocation, smoothed; 0 while unknown
	freed    time.Time     // when an environment last became free
	rescale  *time.Timer
	inFlight int // invocations, those that wait included
}

// waiter is an invocation that waits for an environment.
type waiter struct {
	since time.Time
	got   chan supply
}

// supply is an environment, or the outcome of a failed init phase, which then
// is the outcome of the invocation.
type supply struct {
	env    *environment
	failed *outcome
	err    error
}

// leastPatience and mostPatience bound how long an invocation waits for a busy
// environment before another one is started for it.
const (
	leastPatience = 10 * time.Millisecond
	mostPatience  = 250 * time.Millisecond
)

// acquire returns a ready environment: an idle one, the first that becomes
// free, or a new one. The package's documentation gives the policy.
func (p *pool) acquire(ctx context.Context) supply {
	w := p.ask()
	select {
	case got := <-w.got:
		return got
	case <-ctx.Done():
		p.giveUp(w)
		return supply{err: ctx.Err()}
	}
}

// ask adds a waiter; it gets an environment at once if one is idle.
func (p *pool) ask() *waiter {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	w := &waiter{since: time.Now(), got: make(chan supply, 1)}
	if p.closed {
		w.got <- supply{err: errClosed}
	} else if env := p.takeIdle(); env != nil {
		w.got <- supply{env: env}
	} else {
		p.waiting = append(p.waiting, w)
		p.scale()
	}
	return w
}

// takeIdle takes the most recently used idle environment. The caller holds
// s.mu.
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

// giveUp removes a waiter. An environment that it got meanwhile goes to the
// next.
func (p *pool) giveUp(w *waiter) {
	p.leave(w)
	select {
	case got := <-w.got:
		if got.env != nil {
			p.release(got.env, outcome{})
		}
	default:
	}
}

func (p *pool) leave(w *waiter) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

var errClosed = errors.New("the function was deleted")

// release returns an environment after an invocation.
func (p *pool) release(env *environment, o outcome) {
	p.server.killLater(p.takeBack(env, o))
}

// takeBack returns the environments that must be killed: env itself if it
// cannot be used again, or else idle ones above Config.MaxWarm.
func (p *pool) takeBack(env *environment, o outcome) []*environment {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	p.busy--
	p.freed = time.Now()
	if o.took > 0 {
		p.service = blend(p.service, o.took)
	}
	if o.dead || p.closed {
		s.warm--
		p.scale()
		return []*environment{env}
	}
	env.idleSince = p.freed
	p.offer(env)
	return s.surplus()
}

// killLater kills environments in another goroutine. Close waits for that
// goroutine, as it waits for the caller's.
func (s *Server) killLater(envs []*environment) {
	for _, env := range envs {
		s.work.Go(func() { _ = s.guard(env.program.name, env.kill) })
	}
}

// offer gives a free environment to the first waiter, or keeps it idle. The
// caller holds s.mu.
func (p *pool) offer(env *environment) {
	if len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.busy++
		w.got <- supply{env: env}
		p.scale()
		return
	}
	at, _ := slices.BinarySearchFunc(p.idle, env, func(a, b *environment) int { return a.idleSince.Compare(b.idleSince) })
	p.idle = slices.Insert(p.idle, at, env)
	p.freezeLater(env)
}

// scale starts environments while wantsAnother holds. The caller holds s.mu.
func (p *pool) scale() {
	for !p.closed && p.starting < len(p.waiting) && p.wantsAnother() {
		p.starting++
		p.server.starts.Go(func() { _ = p.server.guard(p.program.name, p.startOne) })
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
	_ = p.server.guard(p.program.name, func() {
		p.server.mu.Lock()
		defer p.server.mu.Unlock()
		p.scale()
	})
}

// wantsAnother is the policy: start another environment if none is busy or
// starting; or if the known duration of invocations makes the queue longer than
// a start; or if none became free for as long as a start takes, up to as many
// at a time as the machine has processors.
func (p *pool) wantsAnother() bool {
	running := p.busy + p.starting
	if running == 0 {
		return true
	}
	if p.service*time.Duration(len(p.waiting)-p.starting)/time.Duration(running) > p.patience() {
		return true
	}
	since := p.waiting[p.starting].since // the waiters before it each have a start of their own
	if p.freed.After(since) {
		since = p.freed
	}
	return p.starting < cap(p.server.starts.slots) && time.Since(since) >= p.patience()
}

// patience is the duration of a start within its bounds; mostPatience before
// the first start.
func (p *pool) patience() time.Duration {
	if p.cold == 0 {
		return mostPatience
	}
	return min(max(p.cold, leastPatience), mostPatience)
}

// startOne starts an environment and waits for its init phase. It does nothing
// if no invocation waits for one when its turn comes.
func (p *pool) startOne() {
	if !p.beginStart() {
		return
	}
	began := time.Now()
	var got supply
	if err := p.server.guard(p.program.name, func() { got = p.coldStart() }); err != nil {
		got = supply{err: err}
	}
	p.server.killLater(p.endStart(got, time.Since(began)))
}

func (p *pool) beginStart() bool {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	if len(p.waiting) == 0 || p.closed {
		p.starting--
		return false
	}
	p.server.warm++
	return true
}

// endStart hands the result of a start to a waiter, and returns the
// environments that must be killed.
func (p *pool) endStart(got supply, took time.Duration) []*environment {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	p.starting--
	switch {
	case got.env != nil && !p.closed:
		p.cold = blend(p.cold, took)
		got.env.idleSince = time.Now()
		p.offer(got.env)
		return s.surplus()
	case got.env != nil:
		s.warm--
		return []*environment{got.env}
	}
	s.warm--
	if len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		w.got <- got
	}
	p.scale()
	return nil
}

// coldStart starts an environment. Its init phase may take initPatience. After
// that it is started again, under the function's own timeout, whether that is
// longer or shorter.
func (p *pool) coldStart() supply {
	got, late := p.initialise(initPatience)
	if late {
		got, _ = p.initialise(p.program.timeout())
	}
	return got
}

// initialise starts a process and waits for the end of its init phase. late is
// true if that took longer than patience.
func (p *pool) initialise(patience time.Duration) (got supply, late bool) {
	env, err := p.server.start(p.program, p.server.sdk(p.program))
	if err != nil {
		p.server.log.Error("start environment", zap.String("function", p.program.name), zap.Error(err))
		return supply{err: fmt.Errorf("start environment: %w", err)}, false
	}
	defer func() {
		if got.env == nil {
			env.kill()
		}
	}()
	if err = env.init(env.started.Add(patience)); err == nil {
		return supply{env: env}, false
	}
	failed := env.failInit(err, min(time.Since(env.started), patience))
	return supply{failed: &failed}, errors.Is(err, os.ErrDeadlineExceeded)
}

// failInit is the outcome of an invocation whose environment did not become
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

// close ends the idle environments; busy ones end after their invocation.
// Waiters get errClosed.
func (p *pool) close() {
	for _, env := range p.shut() {
		env.kill()
	}
}

func (p *pool) shut() (idle []*environment) {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	p.closed = true
	idle, p.idle = p.idle, nil
	s.warm -= len(idle)
	for _, w := range p.waiting {
		w.got <- supply{err: errClosed}
	}
	p.waiting = nil
	if p.rescale != nil {
		p.rescale.Stop()
	}
	return idle
}

// blend is a moving average of a duration.
func blend(have, seen time.Duration) time.Duration {
	if have == 0 {
		return seen
	}
	return (3*have + seen) / 4
}
