package simulation

import (
	"context"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// siteBuilds is the builder of one site. It notes why a script's function may be
// built.
type siteBuilds struct {
	*builds.Builder
	s *site
}

// asked is what a worker has asked its builder for. It is guarded by site.mu.
type asked struct {
	waits   map[run.ScriptHash]bool // runs that wait for their function
	bridged map[run.ScriptHash]int  // how often a runner was named for a script
}

func (b siteBuilds) Ensure(ctx context.Context, s run.Script, p builds.Priority) (builds.Built, error) {
	b.s.mu.Lock()
	b.s.asked.waits[s.Hash] = true
	b.s.mu.Unlock()
	return b.Builder.Ensure(ctx, s, p)
}

func (b siteBuilds) Bridge(ctx context.Context, s, runner run.Script) (builds.Built, bool) {
	built, ok := b.Builder.Bridge(ctx, s, runner)
	if ok && built.Runner != nil {
		b.s.mu.Lock()
		b.s.asked.bridged[s.Hash]++
		b.s.mu.Unlock()
	}
	return built, ok
}

// mayBuild tells whether the site has a reason to build a script's function.
func (s *site) mayBuild(of run.Script) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of.Runner || s.asked.waits[of.Hash] || s.asked.bridged[of.Hash] >= s.f.plan.buildAfter
}

// buildsRunner tells whether a lease is that of an env runner's build.
func (b *books) buildsRunner(lease string) bool {
	for _, s := range b.scripts {
		if s.Runner && strings.HasSuffix(lease, "/"+string(s.Hash)) {
			return true
		}
	}
	return false
}

// creation is one call that creates a function, of a script or an env runner.
type creation struct {
	by    *site
	began time.Duration
	err   error
	done  bool
}

// begins looks for a reason why a function is created, and for one why it is
// created again where it exists or another call creates it.
func (f *fleet) begins(s *site, spec function.Spec) *creation {
	const margin = 20 * time.Second // for leases that could not be renewed
	if of := f.scripts[spec.Name]; !s.mayBuild(of) {
		f.breaks("%s builds %s before an env runner has executed %d runs of it", s.name, spec.Name, f.plan.buildAfter)
	}
	_, there := f.functions.Spec(spec.Name)
	c := &creation{by: s, began: f.now()}
	f.bmu.Lock()
	defer f.bmu.Unlock()
	last := f.creates[spec.Name]
	f.creates[spec.Name] = c
	switch {
	case last == nil, last.done && !there:
	case last.done && last.err != nil && last.by == s: // it may have been created all the same
	case last.by.hurtBetween(last.began-margin, c.began), s.hurtBetween(last.began-margin, c.began):
	case f.forgotSince(last.began - margin), f.redisAway(last.began-margin, c.began):
	default:
		f.breaksLocked("%s creates %s again, though nothing befell %s, which began at %s", s.name, spec.Name, last.by.name, last.began)
	}
	return c
}

func (f *fleet) created(c *creation, err error) {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	c.err, c.done = err, true
}
