package lambda

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// guard calls f, which works for one function. Every goroutine of this package
// runs inside a guard, so that a panic fails only that work: it is logged and
// counted, and returned as the error for the answer.
func (s *Server) guard(function string, f func()) error {
	p := panics.Catch(f)
	if p == nil {
		return nil
	}
	s.log.Error("panic", zap.String("id", p.ID), zap.String("function", function), zap.String("panic", p.Value), zap.String("stack", p.Stack))
	if s.deps.Panicked != nil {
		s.deps.Panicked()
	}
	return p
}
