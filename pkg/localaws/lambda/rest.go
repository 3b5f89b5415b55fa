package lambda

import (
	"slices"
	"time"
)

// restAfter is how long an environment is idle before it is frozen. A stop and a
// start wake each of its threads, which is a large part of a short run; in a
// burst the next invocation comes sooner.
const restAfter = 10 * time.Millisecond

// freezeLater freezes an environment that has become idle, unless it is taken
// before. The caller holds s.mu.
func (p *pool) freezeLater(env *environment) {
	switch {
	case env.frozen:
	case env.rest == nil:
		env.rest = time.AfterFunc(restAfter, func() { _ = p.server.guard(p.program.name, func() { p.freezeIdle(env) }) })
	default:
		env.rest.Reset(restAfter)
	}
}

// freezeIdle freezes an environment that has been idle for restAfter. Meanwhile
// it counts as busy, so that nothing takes it.
func (p *pool) freezeIdle(env *environment) {
	if !p.withdraw(env) {
		return
	}
	defer p.server.work.Done()
	usable := false // in case freeze panics
	defer func() { p.server.killLater(p.lay(env, usable)) }()
	_, err := env.freeze()
	usable = err == nil
}

// withdraw takes an environment out of the idle ones, if it is one of them and has
// been for restAfter. Close waits for the caller then.
func (p *pool) withdraw(env *environment) bool {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(p.idle, env)
	if at < 0 || s.closed || env.frozen || time.Since(env.idleSince) < restAfter {
		return false
	}
	p.idle = slices.Delete(p.idle, at, at+1)
	p.busy++
	s.work.Add(1)
	return true
}

// lay puts an environment back in its place among the idle ones, or gives it to
// who waits by now. It returns the environments that must be killed.
func (p *pool) lay(env *environment, usable bool) []*environment {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	p.busy--
	if !usable || p.closed {
		s.warm--
		p.scale()
		return []*environment{env}
	}
	p.offer(env)
	return s.surplus()
}
