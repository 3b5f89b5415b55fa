package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// site is one process: a dispatcher, or a worker with its builder. All its
// calls pass through its gate: see through.
type site struct {
	f     *fleet
	name  string
	kind  string                             // dispatcher or worker
	run   func(intake, work context.Context) // the process; returns when it has ended
	again func() *site                       // starts its successor
	end   [2]context.CancelFunc              // cancel intake and work
	over  chan struct{}                      // closed when run has returned
	life  context.Context                    // ends when the process ends or is killed
	mu    sync.Mutex
	rng   *rand.Rand
	dead  bool
	going chan struct{} // non-nil while it is stopped; closed when it continues
	left  int           // calls until it is killed or stopped; 0: never
	which string        // kind of calls that are counted; empty: all
	then  time.Duration // how long it is then stopped; 0: it is killed
	hurt  []window      // when it was disturbed
	cut   []window      // when Redis is unreachable for it
	asked asked         // builds that its worker has asked for
}

var (
	errDead    = errors.New("the process is dead")
	errStopped = errors.New("the process was stopped")
)

func (s *site) start() {
	intake, stopIntake := context.WithCancel(context.Background())
	work, stopWork := context.WithCancel(context.Background())
	s.end = [2]context.CancelFunc{stopIntake, stopWork}
	s.over, s.life = make(chan struct{}), work
	go func() {
		defer close(s.over)
		s.run(intake, work)
		stopIntake()
		stopWork()
	}()
}

// kill is kill -9: no later call of the process takes effect.
func (s *site) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return
	}
	s.f.log(s.name, "is killed")
	s.dead = true
	s.resumeLocked()
	s.hurt = append(s.hurt, window{s.f.now(), forever})
	s.end[0]()
	s.end[1]()
}

const forever = 1000 * time.Hour

// stop is SIGSTOP, and later SIGCONT, as seen by other processes.
func (s *site) stop(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.going != nil {
		return
	}
	s.f.log(s.name, "is stopped for %s", d)
	s.going = make(chan struct{})
	s.hurt = append(s.hurt, window{s.f.now(), s.f.now() + d + time.Second})
	time.AfterFunc(d, s.resume)
}

// soon kills or stops the site at its nth call of a kind from now.
func (s *site) soon(e event, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.which, s.then = 1+e.nth, e.op, d
	if e.op != "" {
		s.left = 1 + e.nth%3
	}
}

func (s *site) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resumeLocked()
}

func (s *site) resumeLocked() {
	if s.going != nil {
		s.f.log(s.name, "goes on")
		close(s.going)
		s.going = nil
	}
}

// drain is SIGTERM, with a limit for the drain.
func (s *site) drain(within time.Duration) {
	s.f.log(s.name, "drains within %s", within)
	s.mu.Lock()
	s.hurt = append(s.hurt, window{s.f.now(), forever})
	s.mu.Unlock()
	s.end[0]()
	select {
	case <-s.over:
	case <-time.After(within):
		s.f.log(s.name, "has drained for long enough")
		s.end[1]()
		<-s.over
	}
	s.f.log(s.name, "has ended")
}

// cutOff makes Redis unreachable for the site.
func (s *site) cutOff(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f.log(s.name, "is cut off from Redis for %s", d)
	w := window{s.f.now(), s.f.now() + d}
	s.cut = append(s.cut, w)
	s.hurt = append(s.hurt, window{w.from, w.to + 5*time.Second})
}

// hurtBetween tells whether the site was disturbed in a way that explains why
// another repeated its work.
func (s *site) hurtBetween(from, to time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.hurt {
		if w.from <= to && from <= w.to {
			return true
		}
	}
	return false
}

func (s *site) roll(p float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p > 0 && !s.f.healthy() && s.rng.Float64() < p
}

func (s *site) between(low, high time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return low + randomly(s.rng, high-low)
}

// through makes a call for the site. The delay is before or after the call's
// effect; once the site is dead, the call has no effect and no answer. If the
// site is stopped during the call, the call takes effect when the site
// continues, even if its context has ended meanwhile. A call that a stopped
// site begins fails: a real process would not make it.
func through[T any](ctx context.Context, s *site, op string, do func(context.Context) (T, error)) (T, error) {
	var none T
	there, back := s.between(50*time.Microsecond, 3*time.Millisecond), time.Duration(0)
	if s.between(0, 2) == 0 {
		there, back = back, there
	}
	if s.held() {
		return none, errStopped
	}
	if err := pass(ctx, there); err != nil {
		return none, err
	}
	if !s.counts(op) {
		return none, errDead
	}
	if s.held() {
		ctx = context.WithoutCancel(ctx)
	}
	v, err := do(ctx)
	if e := pass(ctx, back); e != nil {
		return none, e
	}
	s.held()
	if s.isDead() {
		return none, errDead
	}
	return v, err
}

// held waits while the site is stopped, and tells whether it was.
func (s *site) held() bool {
	s.mu.Lock()
	going := s.going
	s.mu.Unlock()
	if going == nil {
		return false
	}
	<-going
	return true
}

func (s *site) isDead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// counts counts a call, and kills or stops the site at the chosen one. A kill
// comes before the call's effect or after it; counts returns false if it came
// before.
func (s *site) counts(op string) bool {
	s.mu.Lock()
	last := false
	if s.left > 0 && (s.which == "" || s.which == op) {
		s.left--
		last = s.left == 0
	}
	stop, before := s.then, s.rng.IntN(2) == 0
	s.mu.Unlock()
	switch {
	case !last || s.f.healthy():
	case stop > 0:
		s.f.log(s.name, "is to stop at %s", op)
		s.stop(stop)
	default:
		s.f.log(s.name, "dies at %s", op)
		s.f.killed(s)
		return !before
	}
	return !s.isDead()
}

func pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
