package trace

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// IDs gives spans the ids that this package has chosen for them: it is the id
// generator of the SDK's provider. Other spans get random ones.
type IDs struct{}

type chosen struct{}

type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

func choose(ctx context.Context, id ids) context.Context { return context.WithValue(ctx, chosen{}, id) }

// NewIDs returns the ids of a span without a parent.
func (IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if id, ok := ctx.Value(chosen{}).(ids); ok {
		return id.trace, id.span
	}
	return randomTrace(), randomSpan()
}

// NewSpanID returns the id of a span with a parent.
func (IDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if id, ok := ctx.Value(chosen{}).(ids); ok {
		return id.span
	}
	return randomSpan()
}

// A random id is not valid where it is zero, which is left to chance.
func randomTrace() trace.TraceID {
	s := fmt.Appendf(nil, "%x %x", rand.Uint64(), rand.Uint64())
	return trace.TraceID(first(s, 16))
}

func randomSpan() trace.SpanID {
	return trace.SpanID(first(fmt.Appendf(nil, "%x", rand.Uint64()), 8))
}

// derived is a span's id made from what identifies it, so that whoever emits it
// again gives it the same id.
func derived(of ...any) trace.SpanID {
	return trace.SpanID(first(fmt.Appendf(nil, "%q", of), 8))
}

func first(s []byte, n int) []byte {
	sum := sha256.Sum256(s)
	return sum[:n]
}
