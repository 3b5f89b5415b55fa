// Package probe tries what a process stands on (Redis, its queues, Lambda, …): at
// its start, and then every few seconds for as long as it runs. A process is ready
// once each part has answered its last try, but for the optional ones.
//
// Each part is tried by a goroutine of its own, so that one that hangs holds up no
// other. A part that is up is tried every Every, a part that is down more often.
// Pauses are jittered, so that a fleet that starts at once does not try at once.
//
// A part that goes down is logged once, with the reason, and once more when it is
// up again. The same is a metric, scriptfleet_component_up.
package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// Part is something that a process stands on.
type Part struct {
	Name string // unique in the process; a label of the metric
	// Try is nil while the part does what the process needs of it. It is cheap,
	// and changes nothing that others see. Its error holds no secret.
	Try    func(context.Context) error
	Every  time.Duration // between two tries while it is up
	Within time.Duration // bounds one try; default 5 s
	// Optional parts are told of, and the process is ready without them.
	Optional bool
	// Quiet parts log by themselves what Try returns.
	Quiet bool
}

// State is what the last try of a part has shown.
type State struct {
	Part     string
	Optional bool
	Reason   error     // why it is down; nil while it is up
	Since    time.Time // since when it is up or down, whatever the reason
}

// Holds tells whether the process is not ready for this part.
func (s State) Holds() bool { return s.Reason != nil && !s.Optional }

const (
	defaultWithin = 5 * time.Second
	// A part that is down is tried again after pauses that double up to longest.
	firstPause   = 250 * time.Millisecond
	longestPause = 2 * time.Second
)

var errNotTried = errors.New("not tried yet")

// Prober tries parts. It is safe for concurrent use.
type Prober struct {
	log *zap.Logger
	up  *prometheus.GaugeVec

	mu      sync.Mutex
	states  []*State      // in the order in which they were added
	changed chan struct{} // closed, and another made, when a part goes up or down
}

// New makes a Prober without parts.
func New(log *zap.Logger, reg prometheus.Registerer) *Prober {
	return &Prober{log: log, changed: make(chan struct{}), up: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "scriptfleet_component_up", Help: "1 while the part that the process stands on answered its last try, else 0.",
	}, []string{"part"})}
}

// Watch begins to try the parts, until ctx ends.
func (p *Prober) Watch(ctx context.Context, parts ...Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range parts {
		s := &State{Part: part.Name, Optional: part.Optional, Reason: errNotTried, Since: time.Now()}
		p.states = append(p.states, s)
		p.up.WithLabelValues(part.Name).Set(0)
		go p.watch(ctx, part, s)
	}
}

// Await returns true once these parts, which are watched, are all up at the same
// time, or false once ctx has ended.
func (p *Prober) Await(ctx context.Context, parts ...Part) bool {
	for {
		changed, up := p.allUp(parts)
		if up {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// States are those of all parts.
func (p *Prober) States() []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]State, len(p.states))
	for i, s := range p.states {
		all[i] = *s
	}
	return all
}

func (p *Prober) allUp(parts []Part) (changed <-chan struct{}, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	up = true
	for _, s := range p.states {
		awaited := slices.ContainsFunc(parts, func(part Part) bool { return part.Name == s.Part })
		up = up && !(awaited && s.Holds())
	}
	return p.changed, up
}

func (p *Prober) watch(ctx context.Context, part Part, s *State) {
	log := p.log
	if part.Quiet {
		log = zap.NewNop()
	}
	fault := lasting.New(log.With(zap.String("part", part.Name)), "a part is down; it is tried again", "a part is up again")
	failures := 0
	for {
		err := part.try(ctx)
		if ctx.Err() != nil {
			return
		}
		p.saw(s, err)
		if err == nil {
			fault.Over()
		} else {
			fault.Met(err)
		}
		pause := part.Every
		if err != nil && !part.Optional {
			pause = min(pause, longestPause, firstPause<<min(failures, 8))
			failures++
		} else {
			failures = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(jittered(pause)):
		}
	}
}

func (part Part) try(ctx context.Context) error {
	within := part.Within
	if within == 0 {
		within = defaultWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := part.Try(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", within, err)
	}
	return err
}

// jittered is a time from three quarters of d to five quarters.
func jittered(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }

// saw notes what a try has shown.
func (p *Prober) saw(s *State, err error) {
	p.mu.Lock()
	turned := (s.Reason == nil) != (err == nil)
	s.Reason = err
	if turned {
		s.Since = time.Now()
		close(p.changed)
		p.changed = make(chan struct{})
	}
	p.mu.Unlock()
	up := 0.0
	if err == nil {
		up = 1
	}
	p.up.WithLabelValues(s.Part).Set(up)
}
