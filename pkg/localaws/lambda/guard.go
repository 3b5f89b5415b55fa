package lambda

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// guardOf is the guard of work for one function. Every goroutine of this package
// runs inside one, so that a panic fails only that work.
func (s *Server) guardOf(function string) panics.Guard {
	return panics.Guard{Log: s.log.With(zap.String("function", function)), Count: s.deps.Panicked}
}

// guard calls f inside the function's guard, and returns a panic as the error for
// the answer.
func (s *Server) guard(function string, f func()) error {
	if p := s.guardOf(function).Catch(f, nil); p != nil {
		return p
	}
	return nil
}
