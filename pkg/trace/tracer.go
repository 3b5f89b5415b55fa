package trace

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Name is the name of the instrumentation.
const Name = "github.com/scriptfleet/scriptfleet/pkg/trace"

// Tracer emits spans. A nil Tracer emits none, and costs nothing.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer of a provider whose id generator is [IDs].
func New(p trace.TracerProvider) *Tracer { return &Tracer{p.Tracer(Name)} }

// Span is a span that has ended.
type Span struct {
	Name       string
	Kind       trace.SpanKind
	Start, End time.Time
	Attributes []attribute.KeyValue
	Links      []trace.Link
	Error      string // type of the error; empty for none
}

// Run is the trace of one run. A nil Run is not sampled: its methods do nothing.
type Run struct {
	tracer *Tracer
	place  Place
	span   trace.Span
}

// Run returns the trace of a run whose request arrived at start, or nil if it is
// not sampled. All processes decide alike, since they ask the same of the
// sampler: for the run's own span, under the sender's.
func (t *Tracer) Run(p Place, start time.Time) *Run {
	if t == nil || p.Key == "" {
		return nil
	}
	ctx := context.Background()
	if p.Parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, p.sender())
	}
	ctx = choose(ctx, ids{p.TraceID, derived(p.Key, "run")})
	// Only End ends this span. A span that is never ended is never exported.
	_, span := t.tracer.Start(ctx, "run", trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindConsumer))
	if !span.SpanContext().IsSampled() {
		return nil
	}
	return &Run{t, p, span}
}

// In returns a context in which the run's span is the current one.
func (r *Run) In(ctx context.Context) context.Context {
	if r == nil {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, r.span.SpanContext())
}

// Emit emits a part of the run, which of identifies together with its name. It
// returns the span, to emit parts of it.
func (r *Run) Emit(s Span, of ...any) *Run {
	if r == nil {
		return nil
	}
	ctx := r.In(context.Background())
	ctx = choose(ctx, ids{r.place.TraceID, derived(r.place.Key, s.Name, of)})
	return &Run{r.tracer, r.place, r.tracer.emit(ctx, s)}
}

// End emits the run's own span. Whoever answers the run calls it.
func (r *Run) End(res run.Result, at time.Time) {
	if r == nil {
		return
	}
	d := res.Data
	r.span.SetAttributes(
		attribute.String("scriptfleet.tenant", res.Tenant), attribute.String("scriptfleet.run", string(res.ID)),
		attribute.String("scriptfleet.request", res.Subject), attribute.String("scriptfleet.story", d.Story),
		attribute.String("scriptfleet.action", d.Action), attribute.String("scriptfleet.status", string(d.Status)),
		attribute.Int("scriptfleet.attempt", d.Attempt), attribute.String("scriptfleet.build", string(d.Build.Outcome)),
	)
	if f := d.Function; f != nil {
		r.span.SetAttributes(attribute.String("scriptfleet.script", string(f.ScriptHash)), attribute.String("scriptfleet.runtime", f.Runtime))
	}
	if e := d.Error; e != nil {
		r.span.SetAttributes(attribute.String("scriptfleet.error.owner", string(e.Owner)))
		fail(r.span, e.Type)
	}
	r.span.End(trace.WithTimestamp(at))
}

// Send begins the span of a command that sends a request and waits for its
// result. In the context that it returns, the span is the current one.
func (t *Tracer) Send(ctx context.Context, tenant string) (in context.Context, end func(run.Result, error)) {
	if t == nil {
		return ctx, func(run.Result, error) {}
	}
	ctx, span := t.tracer.Start(ctx, "scriptfleet run", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("scriptfleet.tenant", tenant)))
	return ctx, func(res run.Result, err error) {
		switch {
		case err != nil:
			fail(span, "NoResult")
		case res.Data.Error != nil:
			fail(span, res.Data.Error.Type)
		}
		span.End()
	}
}

// Traceparent is the current span of a context as a traceparent; empty where
// there is none.
func Traceparent(ctx context.Context) string {
	s := trace.SpanContextFromContext(ctx)
	return Place{TraceID: s.TraceID(), Parent: s.SpanID(), Sampled: s.IsSampled()}.Traceparent()
}

// emit starts and ends a span.
func (t *Tracer) emit(ctx context.Context, s Span) trace.Span {
	_, span := t.tracer.Start(ctx, s.Name, trace.WithSpanKind(s.Kind), trace.WithTimestamp(s.Start),
		trace.WithAttributes(s.Attributes...), trace.WithLinks(s.Links...))
	if s.Error != "" {
		fail(span, s.Error)
	}
	span.End(trace.WithTimestamp(s.End))
	return span
}

// fail marks a span as failed. The type of an error is enough to find its
// result: its message may quote the script or its input.
func fail(s trace.Span, kind string) {
	s.SetAttributes(attribute.String("error.type", kind))
	s.SetStatus(codes.Error, kind)
}

// Build is the span of one build: it is identified by what is built and by the
// fence of the lease, which every run that waited finds in the build's record.
func Build(key string, fence int64) trace.SpanContext {
	sum := first(fmt.Appendf(nil, "build %s %d", key, fence), 24)
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:]), TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

// Build emits the span of a build that runs waited for. runs are the spans of
// those of this process; without a sampled one among them, nothing is emitted.
func (t *Tracer) Build(key string, fence int64, s Span, runs []trace.SpanContext) {
	if t == nil || len(runs) == 0 {
		return
	}
	of := Build(key, fence)
	for _, r := range runs {
		s.Links = append(s.Links, trace.Link{SpanContext: r})
	}
	ctx := context.WithValue(context.Background(), sampled{}, true)
	t.emit(choose(ctx, ids{of.TraceID(), of.SpanID()}), s)
}

type sampled struct{}

// IsSampled tells whether a span without a parent is sampled whatever the
// sampler says: the span of a build is, since a sampled run has waited for it.
func IsSampled(ctx context.Context) bool { return ctx.Value(sampled{}) != nil }
