package builds

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

type span = oteltrace.SpanContext

// maxLinks bounds the runs that a build's span is linked with. Every run is
// linked with its build.
const maxLinks = 16

// waitsFor notes the sampled runs that wait for the flight. The caller holds
// flights.mu.
func (f *flight) waitsFor(ctx context.Context, above *flight) {
	var more []span
	if above != nil {
		more = above.runs
	} else if s := oteltrace.SpanContextFromContext(ctx); s.IsSampled() {
		more = []span{s}
	}
	f.runs = append(f.runs, more[:min(len(more), maxLinks-len(f.runs))]...)
}

func (fs *flights) runsOf(f *flight) []span {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return f.runs
}

// spanOf is the span of the build that the outcome tells of.
func (b *Builder) spanOf(key string, out outcome) (none span) {
	if b.deps.Traces == nil || out.how == run.BuildReused || out.record.Fence == 0 {
		return none
	}
	return trace.Build(b.cfg.Prefix+"/"+key, out.record.Fence)
}

// emit emits the span of a build that has begun in this term and is over.
func (t *term) emit(kind string) {
	if t.deps.Traces == nil {
		return
	}
	s := trace.Span{
		Name: "build", Kind: oteltrace.SpanKindInternal, Start: t.began, End: time.Now(), Error: kind,
		Attributes: []attribute.KeyValue{
			attribute.String("scriptfleet.build.step", t.f.step.name), attribute.String("scriptfleet.build.key", t.f.step.key),
			attribute.String("scriptfleet.build.worker", t.cfg.Worker),
		},
	}
	for _, layer := range t.awaited {
		s.Links = append(s.Links, oteltrace.Link{SpanContext: layer})
	}
	t.deps.Traces.Build(t.cfg.Prefix+"/"+t.f.step.key, t.hold.Fence(), s, t.f.b.flights.runsOf(t.f))
}
