package worker

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// catch calls f, which handles the deliveries of one tenant. A panic is logged
// with its id and what it is of, and counted; it ends f and nothing else of the
// worker.
func (w *Worker) catch(f func(), of func() []zap.Field) *panics.Error {
	p := panics.Catch(f)
	if p != nil {
		w.metrics.panics.Inc()
		w.log.Error("panic", append(of(), zap.String("id", p.ID), zap.String("panic", p.Value), zap.String("stack", p.Stack))...)
	}
	return p
}

// fields name a delivery in hand to the log, as far as it has been read.
func (h *held) fields() []zap.Field {
	return []zap.Field{
		zap.String("tenant", h.run.Tenant), zap.String("run", string(h.run.Key)), zap.String("message", h.delivery.MessageID),
	}
}
