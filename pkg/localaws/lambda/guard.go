package lambda

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// guard calls f, which works for one function. Each goroutine of this package
// does its work in one, so that a fault in it fails that work alone: a panic is
// logged and counted, and returned as the error to answer with.
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
