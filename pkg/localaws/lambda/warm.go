package lambda

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// warmShare and warmBytes set the default of Config.MaxWarm: environments may
// take half of the machine's memory, at 64 MiB each. Measured: a bare Python
// takes 12 MiB, one with many imports 100 MiB and more.
const (
	warmShare = 2
	warmBytes = 64 << 20
	leastWarm = 20
)

func defaultMaxWarm() int {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return leastWarm
	}
	memory := info.Totalram * uint64(info.Unit)
	return max(leastWarm, int(memory/warmShare/warmBytes))
}

// surplus takes the least recently used idle environments above Config.MaxWarm
// out of their pools. The caller holds s.mu and kills them.
func (s *Server) surplus() []*environment {
	var victims []*environment
	for s.warm > s.cfg.MaxWarm {
		p := s.leastRecent()
		if p == nil {
			break
		}
		victims = append(victims, p.idle[0])
		p.idle = slices.Delete(p.idle, 0, 1)
		s.warm--
	}
	return victims
}

// leastRecent is the pool of the least recently used idle environment.
func (s *Server) leastRecent() *pool {
	var oldest *pool
	for _, f := range s.functions {
		p := f.pool
		if p != nil && len(p.idle) > 0 && (oldest == nil || p.idle[0].idleSince.Before(oldest.idle[0].idleSince)) {
			oldest = p
		}
	}
	return oldest
}

// reapIdle ends environments that were idle for Config.IdleTimeout, and those
// whose process has ended, until the server ends.
func (s *Server) reapIdle() {
	tick := time.NewTicker(max(s.cfg.IdleTimeout/10, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case now := <-tick.C:
			_ = s.guard("", func() { s.killLater(s.expired(now)) })
		}
	}
}

func (s *Server) expired(now time.Time) []*environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ended []*environment
	for _, f := range s.functions {
		if f.pool == nil {
			continue
		}
		f.pool.idle = slices.DeleteFunc(f.pool.idle, func(env *environment) bool {
			if now.Sub(env.idleSince) < s.cfg.IdleTimeout && !env.gone() {
				return false
			}
			ended = append(ended, env)
			s.warm--
			return true
		})
	}
	return ended
}

func (e *environment) gone() bool {
	select {
	case <-e.proc.Gone():
		return true
	default:
		return false
	}
}

// starter bounds concurrent starts of environments: more than the machine has
// processors would delay all of them.
type starter struct {
	slots chan struct{}
	wg    sync.WaitGroup
}

// slowStart is how long a start holds its slot: a function that imports for
// seconds must not delay the starts of others.
const slowStart = 500 * time.Millisecond

func newStarter() *starter {
	return &starter{slots: make(chan struct{}, max(2, runtime.NumCPU()))}
}

// Go runs f in a goroutine once a slot is free.
func (s *starter) Go(f func()) {
	s.wg.Go(func() { s.do(f) })
}

// do runs f once a slot is free.
func (s *starter) do(f func()) {
	s.slots <- struct{}{}
	free := sync.OnceFunc(func() { <-s.slots })
	slow := time.AfterFunc(slowStart, free)
	defer func() { slow.Stop(); free() }()
	f()
}
