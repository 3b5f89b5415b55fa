package worker

import (
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// spans are what the spans of a delivery need besides its timeline. Package
// trace lists them.
type spans struct {
	invoked   time.Time // when the invocation was sent
	answered  time.Time // when the publishing of the result began
	published time.Time // when the result was published
	failed    string    // class of the invocation's error
	init      time.Duration
}

// follow begins to keep what spans are made of, if the run is sampled.
func (w *Worker) follow(h *held) {
	h.trace = w.deps.Traces.Run(h.place, run.RequestedAt(h.delivery.Attributes, h.delivery.SentAt))
	if h.trace != nil {
		h.timeline.Keep()
	}
}

// emit emits the spans of a delivery that is settled, as the timeline has them.
func (w *Worker) emit(h *held, v verdict, err error) {
	if h.trace == nil {
		return
	}
	for n, i := range merged(h) {
		switch i.Stage {
		case run.StageQueue:
			w.emitQueue(h, n, i)
		case run.StageBuildWait:
			s := span("build wait", oteltrace.SpanKindInternal, i.From, i.To, attribute.String("scriptfleet.build", string(h.built.Outcome)))
			if h.built.Span.IsValid() {
				s.Links = []oteltrace.Link{{SpanContext: h.built.Span}}
			}
			h.trace.Emit(s, h.delivery.MessageID, h.delivery.ReceiveCount, n)
		case run.StageExecute:
			w.emitInvocation(h, i)
		}
	}
	if v.kind != answered || h.spans.published.IsZero() || errors.Is(err, ledger.ErrLost) {
		return
	}
	h.trace.Emit(span("publish", oteltrace.SpanKindProducer, h.spans.answered, h.spans.published,
		attribute.String("messaging.destination.name", w.deps.Results.Name())))
	h.trace.End(h.result(v), h.spans.published)
}

// emitQueue emits the part of a wait that was before this delivery's receipt, and
// the part after that.
func (w *Worker) emitQueue(h *held, n int, i run.Interval) {
	of := []any{h.delivery.MessageID, h.delivery.ReceiveCount, n}
	if received := h.delivery.ReceivedAt; received.After(i.From) && received.Before(i.To) {
		h.trace.Emit(span("queue", oteltrace.SpanKindInternal, i.From, received,
			attribute.Int("scriptfleet.receives", h.delivery.ReceiveCount)), of...)
		i.From = received
	}
	h.trace.Emit(span("slot wait", oteltrace.SpanKindInternal, i.From, i.To), of...)
}

// emitInvocation emits an invocation and its parts.
func (w *Worker) emitInvocation(h *held, i run.Interval) {
	from := i.From
	if sent := h.spans.invoked; sent.After(from) && sent.Before(i.To) {
		from = sent
	}
	s := span("invoke", oteltrace.SpanKindClient, from, i.To,
		attribute.String("faas.invoked_provider", "aws"), attribute.String("faas.invoked_name", h.built.Function),
		attribute.Bool("faas.coldstart", h.spans.init > 0), attribute.Int("scriptfleet.attempt", h.attempts))
	s.Error = h.spans.failed
	invocation := h.trace.Emit(s, h.attempts)
	if !h.returned {
		return
	}
	begun := from
	if h.spans.init > 0 {
		begun = from.Add(min(h.spans.init, i.To.Sub(from)))
		invocation.Emit(span("init", oteltrace.SpanKindInternal, from, begun), h.attempts)
	}
	invocation.Emit(span("execute", oteltrace.SpanKindInternal, begun, i.To), h.attempts)
}

func span(name string, kind oteltrace.SpanKind, from, to time.Time, attributes ...attribute.KeyValue) trace.Span {
	return trace.Span{Name: name, Kind: kind, Start: from, End: to, Attributes: attributes}
}

// merged are the delivery's intervals, with the stages of a build and those of an
// invocation taken together where they follow each other.
func merged(h *held) (all []run.Interval) {
	same := map[run.Stage]run.Stage{run.StageBuild: run.StageBuildWait, run.StageInit: run.StageExecute}
	for _, i := range h.timeline.Intervals() {
		if as, ok := same[i.Stage]; ok {
			i.Stage = as
		}
		if last := len(all) - 1; last >= 0 && all[last].Stage == i.Stage {
			all[last].To = i.To
			continue
		}
		all = append(all, i)
	}
	return all
}
