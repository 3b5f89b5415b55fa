package trace

import (
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var at = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func recorded(sampler sdktrace.Sampler) (*Tracer, *tracetest.SpanRecorder) {
	rec := tracetest.NewSpanRecorder()
	return New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec), sdktrace.WithIDGenerator(IDs{}), sdktrace.WithSampler(sampler))), rec
}

func placed(id, traceparent string) Place {
	return PlaceOf(run.Run{Key: run.KeyOf("acme", "/s", id), Request: run.Request{Traceparent: traceparent}}, "")
}

// TestEveryProcessMakesTheSameTree lets one process emit the run's own span, and
// another, which does not know of it, a part of it.
func TestEveryProcessMakesTheSameTree(t *testing.T) {
	for _, traceparent := range []string{"", parent} {
		p := placed("1", traceparent)
		var ids [2]trace.SpanContext
		for n := range ids { // the second is the first one again, after a crash
			one, rec := recorded(sdktrace.ParentBased(sdktrace.AlwaysSample()))
			r := one.Run(p, at)
			r.Emit(Span{Name: "invoke", Start: at, End: at}, 2).Emit(Span{Name: "execute", Start: at, End: at}, 2)
			r.End(run.Result{}, at.Add(time.Second))
			other, part := recorded(sdktrace.ParentBased(sdktrace.AlwaysSample()))
			other.Run(p, at.Add(time.Minute)).Emit(Span{Name: "intake", Start: at, End: at})

			ended := rec.Ended()
			if len(ended) != 3 || len(part.Ended()) != 1 {
				t.Fatalf("%d and %d spans are emitted", len(ended), len(part.Ended()))
			}
			invoke, execute, whole, intake := ended[0], ended[1], ended[2], part.Ended()[0]
			if whole.SpanContext().TraceID() != p.TraceID || whole.Parent().SpanID() != p.Parent {
				t.Errorf("the run is in trace %s under %s", whole.SpanContext().TraceID(), whole.Parent().SpanID())
			}
			if invoke.Parent().SpanID() != whole.SpanContext().SpanID() || intake.Parent().SpanID() != whole.SpanContext().SpanID() ||
				execute.Parent().SpanID() != invoke.SpanContext().SpanID() {
				t.Errorf("invoke is under %s, intake under %s, execute under %s", invoke.Parent().SpanID(), intake.Parent().SpanID(), execute.Parent().SpanID())
			}
			ids[n] = invoke.SpanContext()
		}
		if ids[0].SpanID() != ids[1].SpanID() {
			t.Errorf("an invocation that is told twice is %s and %s", ids[0].SpanID(), ids[1].SpanID())
		}
	}
	a, b := derived("k", "invoke", []any{1}), derived("k", "invoke", []any{2})
	if a == b {
		t.Error("two attempts are the same span")
	}
}

func TestSamplingHonoursTheSender(t *testing.T) {
	never, always := sdktrace.ParentBased(sdktrace.NeverSample()), sdktrace.ParentBased(sdktrace.AlwaysSample())
	unsampled := parent[:53] + "00"
	for _, c := range []struct {
		sampler     sdktrace.Sampler
		traceparent string
		want        bool
	}{{always, "", true}, {always, parent, true}, {always, unsampled, false}, {never, "", false}, {never, parent, true}} {
		tracer, rec := recorded(c.sampler)
		r := tracer.Run(placed("1", c.traceparent), at)
		r.Emit(Span{Name: "queue", Start: at, End: at})
		r.End(run.Result{}, at)
		if got := len(rec.Ended()) > 0; got != c.want || (r != nil) != c.want {
			t.Errorf("%s of a sender with %q samples: %t", c.sampler.Description(), c.traceparent, got)
		}
	}
}

func TestTracesThatAreOffAllocateNothing(t *testing.T) {
	var off *Tracer
	ctx := t.Context()
	request := run.Run{Key: run.KeyOf("acme", "/s", "1"), Request: run.Request{Traceparent: parent}}
	n := testing.AllocsPerRun(100, func() {
		r := off.Run(PlaceOf(request, ""), at)
		if r.In(ctx) != ctx || r != nil {
			t.Error("a run is traced")
		}
		r.End(run.Result{}, at)
	})
	if n != 0 {
		t.Errorf("a run without traces costs %v allocations", n)
	}
}
