package builds

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// flight is one step of a build under way in this worker. There is at most one
// for each env and each script, and every caller that needs the step waits for
// it. When the last caller leaves, a flight that leads the build goes on, and a
// flight that waits for another worker ends.
type flight struct {
	b    *Builder
	step step

	done chan struct{} // closed when out is set
	out  outcome

	// Guarded by flights.mu.
	callers int           // calls of await that wait for this flight
	p       Priority      // the first of its callers' priorities
	raised  chan struct{} // closed and replaced when p becomes an earlier one
	runs    []span        // sampled ones of those that waited for this flight, or for a flight above it
	leader  string        // name of the worker that leads the step; "" while unknown
	under   *flight       // of a script's flight: the env's flight that it waits for
	heir    *flight       // of an env's flight: the script's flight that gets its place back

	// Owned by the flight's goroutine; join and end pass place on under
	// flights.mu.
	place  *ticket
	waited time.Duration // for a place, for Redis, for another worker or flight
}

// flights are the flights under way in this worker, by the key of their step.
type flights struct {
	mu     sync.Mutex
	byKey  map[string]*flight
	closed bool
	wg     sync.WaitGroup
}

// await joins the flight of the step, or starts it, and returns its outcome
// from the caller's view. The caller is Ensure, or a script's flight (above)
// that waits for its env.
func (b *Builder) await(ctx context.Context, st step, p Priority, above *flight) outcome {
	began := time.Now()
	f, started := b.flights.join(ctx, b, st, p, above)
	if f == nil {
		return outcome{err: ErrClosed}
	}
	defer b.flights.leave(f, above)
	select {
	case <-f.done:
	case <-ctx.Done():
		return outcome{err: context.Cause(ctx)}
	}
	if started {
		return f.out
	}
	return f.out.joined(b.cfg.Worker, time.Since(began))
}

// joined is the outcome from the view of a caller that joined a flight which
// another call had started in the same worker.
func (o outcome) joined(worker string, waited time.Duration) outcome {
	o.led, o.waited = 0, waited
	if o.how == run.BuildBuilt || o.how == run.BuildDidFail {
		o.how, o.by = run.BuildWaited, worker
	}
	return o
}

// join returns the flight of the step, and whether this call started it. Once
// the flights are closed it returns nil, except to a flight under way (above).
// If above starts the flight, it hands its place over; if it joins one, it
// gives its place back. The flight gets the caller's priority if that is an
// earlier one than its own.
func (fs *flights) join(ctx context.Context, b *Builder, st step, p Priority, above *flight) (f *flight, started bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed && above == nil {
		return nil, false
	}
	f = fs.byKey[st.key]
	if f == nil {
		started = true
		f = &flight{b: b, step: st, p: p, raised: make(chan struct{}), done: make(chan struct{})}
		if above != nil {
			f.place, f.heir, above.place = above.place, above, nil
		}
		fs.byKey[st.key] = f
		fs.wg.Add(1)
		go f.run(context.WithoutCancel(ctx)) // the flight outlives the call that started it
	}
	f.callers++
	f.waitsFor(ctx, above)
	if above != nil {
		p = above.p // it may have become an earlier one since above called
		above.under = f
		above.leavePlace() // else flights that wait for f could hold all places
	}
	f.raise(p)
	return f, started
}

// raise gives a flight, and the one that it waits for, the priority p if that is
// an earlier one. The caller holds flights.mu.
func (f *flight) raise(p Priority) {
	for ; f != nil; f = f.under {
		if p < f.p {
			f.p = p
			close(f.raised)
			f.raised = make(chan struct{})
		}
	}
}

// priority returns the flight's priority, and a channel that is closed when it
// becomes an earlier one.
func (f *flight) priority() (Priority, <-chan struct{}) {
	f.b.flights.mu.Lock()
	defer f.b.flights.mu.Unlock()
	return f.p, f.raised
}

func (fs *flights) leave(f, above *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.callers--
	if above != nil {
		above.under = nil
	}
	if f.heir == above {
		f.heir = nil
	}
}

// run settles the step and publishes the outcome. Only the end of the builder's
// context cuts it off.
func (f *flight) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(f.b.ctx, func() { cancel(context.Cause(f.b.ctx)) })
	began := time.Now()
	var out outcome
	if p := panics.Catch(func() { out = f.settle(ctx) }); p != nil {
		f.b.panicked(p, f.step)
		out = outcome{err: p}
	}
	if total := time.Since(began); out.how == run.BuildBuilt || out.how == run.BuildDidFail {
		out.led, out.waited = total-f.waited, f.waited
	} else {
		out.waited = total
	}
	f.out = out
	f.b.flights.end(f)
	close(f.done)
	stop()
	cancel(nil)
}

// panicked logs and counts a panic that ended a step.
func (b *Builder) panicked(p *panics.Error, st step) {
	guard := panics.Guard{Log: b.deps.Log, Count: b.metrics.panics.Inc}
	guard.Report(p, zap.String("step", st.name), zap.String("key", st.key), zap.String("tenant", st.script.Tenant))
}

func (fs *flights) end(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[f.step.key] == f {
		delete(fs.byKey, f.step.key)
	}
	if f.heir != nil {
		f.heir.place, f.place = f.place, nil
	}
	f.leavePlace()
	fs.wg.Done()
}

// abandoned tells whether no caller waits for the flight. If so it removes the
// flight, so that no caller can join it later.
func (f *flight) abandoned() bool {
	fs := &f.b.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.callers > 0 {
		return false
	}
	delete(fs.byKey, f.step.key)
	return true
}

func (f *flight) ledBy(worker string) {
	f.b.flights.mu.Lock()
	defer f.b.flights.mu.Unlock()
	f.leader = worker
}

func (fs *flights) leader(key string) (string, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.byKey[key]
	if f == nil {
		return "", false
	}
	if f.under != nil {
		f = f.under
	}
	return f.leader, true
}

func (fs *flights) close() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.closed = true
}

// open counts a goroutine for which wait waits, unless the flights are closed.
func (fs *flights) open() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !fs.closed {
		fs.wg.Add(1)
	}
	return !fs.closed
}

func (fs *flights) wait() { fs.wg.Wait() }

// waits adds the time since a moment to f.waited: defer f.waits(time.Now()).
func (f *flight) waits(since time.Time) { f.waited += time.Since(since) }
