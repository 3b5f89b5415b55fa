package dispatcher

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// trace returns the trace of a request's run, or nil if it is not sampled.
func (d *Dispatcher) trace(r run.Run, delivery queue.Delivery) *trace.Run {
	if d.deps.Traces == nil {
		return nil
	}
	return d.deps.Traces.Run(trace.PlaceOf(r, delivery.TraceHeader), delivery.SentAt)
}

// emitIntake emits the span of one delivery of a request: from its arrival, or
// for a delivery that was put back before, from its receipt.
func emitIntake(of *trace.Run, delivery queue.Delivery, became outcome, err error) {
	s := trace.Span{Name: "intake", Kind: oteltrace.SpanKindConsumer, Start: delivery.SentAt, End: time.Now()}
	if delivery.ReceiveCount > 1 {
		s.Start = delivery.ReceivedAt
	}
	if err != nil {
		became = outcomePutBack
	}
	s.Attributes = []attribute.KeyValue{
		attribute.String("scriptfleet.outcome", string(became)), attribute.Int("scriptfleet.receives", delivery.ReceiveCount),
	}
	of.Emit(s, delivery.MessageID, delivery.ReceiveCount)
}
