package builds

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// term is the time in which a flight holds the lease of its step. Its methods
// run in the flight's goroutine.
type term struct {
	*Builder
	f      *flight
	hold   *lease.Hold
	bound  *bound
	script run.Script
	began  time.Time // of the build; zero while Lambda is asked whether there is something to build
	log    string    // of the layer's build

	packages []run.Package // of the layer that was built
	awaited  []span        // of layers' builds that this one waited for
}

// made is the result of a step that succeeded.
type made struct {
	arn   string // of the layer, or the function's name
	found bool   // it existed before this term
}

// lead carries the step out under the lease. It returns false where the lease
// was lost first: the flight then waits for the next holder's record.
func (f *flight) lead(ctx context.Context, hold *lease.Hold, w *watch) (outcome, bool) {
	settled := false
	defer func() { f.release(ctx, hold, settled) }()
	work, bound := withBound(hold.Context(), f.b.cfg.BuildTimeout)
	defer bound.end()

	// The previous holder of the lease may have written a record since this
	// flight last read it.
	before, there, err := f.b.deps.Records.Get(work, f.step.key)
	if err == nil {
		if out, ok := w.read(before, there); ok {
			settled = true
			f.step.learn(out.record)
			return out, true
		}
	}
	t := &term{Builder: f.b, f: f, hold: hold, bound: bound, script: f.step.script}
	m, err := t.make(work)
	if err != nil && (errors.Is(err, ErrClosed) || !hold.Valid()) {
		return f.gaveUp(t)
	}
	settled = true
	out := t.outcome(m, err, before)
	out.record = t.write(hold.Context(), out.record)
	t.finished(out)
	f.step.learn(out.record)
	return out, true
}

// make runs the step's own work. A panic fails this build alone: one in the
// step, or one that Layers or the lease's goroutine has caught.
func (t *term) make(ctx context.Context) (m made, err error) {
	if p := panics.Catch(func() { m, err = t.f.step.lead(ctx, t) }); p != nil {
		m, err = made{}, p
	}
	var panicked *panics.Error
	if errors.As(err, &panicked) || errors.As(context.Cause(t.hold.Context()), &panicked) {
		t.panicked(panicked, t.f.step)
	}
	return m, err
}

// gaveUp ends a term without an outcome: the builder is closed, or the lease is
// lost.
func (f *flight) gaveUp(t *term) (outcome, bool) {
	if f.b.ctx.Err() == nil {
		t.ended(endedLost, "LeaseLost")
		return outcome{}, false
	}
	t.ended(endedClosed, "WorkerStopped")
	return outcome{err: ErrClosed}, true
}

func (t *term) outcome(m made, err error, before Record) outcome {
	out := outcome{how: run.BuildBuilt, by: t.cfg.Worker}
	out.record = Record{ARN: m.arn, Packages: t.packages, Log: t.log, Fence: t.hold.Fence(), Builder: t.cfg.Worker}
	var env *envFailure
	switch {
	case errors.As(err, &env):
		out.how, out.by = env.how, env.by
		out.record.fail(env.record)
	case err != nil:
		out.how, out.cause = run.BuildDidFail, err
		out.record.fail(t.cfg.failure(reason(err), before.Failures+1))
	case m.found:
		out.how = run.BuildReused
	}
	out.record.Log = clip(out.record.Log)
	if !t.began.IsZero() {
		out.record.Took = time.Since(t.began)
	}
	return out
}

// write writes the record with the lease's fence, and returns the record that
// is there afterwards. It tries while the lease holds, for a fifth of its TTL
// at most, and a failure to write changes nothing for the runs that wait: the
// function or layer exists, and a worker without the record finds it at Lambda.
func (t *term) write(ctx context.Context, rec Record) Record {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.LeaseTTL/5)
	defer cancel()
	for t.hold.Valid() {
		err := t.deps.Records.Put(ctx, t.f.step.key, rec, t.cfg.keep(rec))
		switch {
		case err == nil:
			t.f.b.unwritten.Over()
			return rec
		case errors.Is(err, ErrStale):
			return t.theirs(ctx, rec)
		case ctx.Err() != nil:
			return rec
		}
		t.f.b.unwritten.Met(err, zap.String("key", t.f.step.key))
		sleep(ctx, 100*time.Millisecond)
	}
	return rec
}

// theirs is the record to answer with after ErrStale: the later holder's,
// unless that holder's build failed and this one succeeded, or its ARN is not
// of this step.
func (t *term) theirs(ctx context.Context, ours Record) Record {
	rec, there, err := t.deps.Records.Get(ctx, t.f.step.key)
	if err != nil || !there || rec.ARN == "" && ours.ARN != "" || rec.ARN != "" && !t.f.step.is(rec.ARN) {
		return ours
	}
	return rec
}

// begin counts the build as started. It is called once Lambda has answered that
// the function or the layer does not exist.
func (t *term) begin() {
	if t.began.IsZero() {
		t.began = time.Now()
		t.metrics.started.WithLabelValues(t.f.step.name).Inc()
	}
}

// ended counts the end of a build that has begun; kind is the type of the error
// that it failed with.
func (t *term) ended(how, kind string) {
	if t.began.IsZero() {
		return
	}
	t.metrics.finished.WithLabelValues(t.f.step.name, how).Inc()
	t.metrics.duration.WithLabelValues(t.f.step.name).Observe(time.Since(t.began).Seconds())
	t.emit(kind)
}

// finished counts the build as found, built or failed, and logs it unless it
// was found.
func (t *term) finished(out outcome) {
	if out.record.Failure == nil && out.how == run.BuildReused {
		t.metrics.found.WithLabelValues(t.f.step.name).Inc()
		return
	}
	t.begin() // a term that failed before its begin counts as a failed build too
	fields := []zap.Field{
		zap.String("step", t.f.step.name), zap.String("key", t.f.step.key), zap.String("tenant", t.script.Tenant),
		zap.Duration("took", time.Since(t.began)), zap.Int64("fence", t.hold.Fence()),
	}
	failure := out.record.Failure
	if failure == nil {
		t.ended(endedBuilt, "")
		t.deps.Log.Info("built", fields...)
		return
	}
	t.ended(endedFailed, failure.Type)
	fields = append(fields, zap.String("owner", string(failure.Owner)), zap.String("type", failure.Type),
		zap.String("message", failure.Message), zap.Time("until", out.record.Until))
	if failure.Owner == run.OwnerAuthor {
		t.deps.Log.Info("build failed", fields...)
	} else {
		t.deps.Log.Warn("build failed", append(fields, zap.NamedError("cause", out.cause))...)
	}
}

// release gives the lease back, also while the builder stops. If the term
// settled nothing, and so wrote no record, it signals the waiting workers,
// which then ask for the lease.
func (f *flight) release(ctx context.Context, hold *lease.Hold, settled bool) {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := hold.Release(short)
	if err == nil && !settled {
		err = f.b.deps.Records.Drop(short, f.step.key, 0) // fence 0: removes no record, only signals
	}
	if err != nil {
		f.b.deps.Log.Warn("build lease not released; it expires by itself", zap.String("key", f.step.key), zap.Error(err))
	}
}

// owner is a new owner for one attempt to take a lease: worker#uuid.
func (b *Builder) owner() string { return b.cfg.Worker + "#" + uuid.NewString() }

func workerOf(owner string) string {
	if i := strings.LastIndexByte(owner, '#'); i >= 0 {
		return owner[:i]
	}
	return owner
}
