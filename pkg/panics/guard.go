package panics

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Guard catches the panics of one part of the platform, logs each with its ID
// and stack, and counts it. The zero Guard only catches them.
type Guard struct {
	Log   *zap.Logger
	Count func()
}

// Catch is [Catch], and reports the panic. what returns the log fields of the
// work; it is called if f panics, and may be nil.
func (g Guard) Catch(f func(), what func() []zap.Field) *Error {
	p := Catch(f)
	if p == nil {
		return nil
	}
	var fields []zap.Field
	if what != nil {
		fields = what()
	}
	g.Report(p, fields...)
	return p
}

// Report logs and counts a panic that was caught elsewhere.
func (g Guard) Report(p *Error, what ...zap.Field) {
	if g.Count != nil {
		g.Count()
	}
	if g.Log != nil {
		g.Log.Error("panic", append(what, zap.String("id", p.ID), zap.String("panic", p.Value), zap.String("stack", p.Stack))...)
	}
}

// pause is how long a loop waits after a panic: long enough to bound the log if
// each round panics, and short compared to a claim's TTL.
const pause = time.Second

// Loop calls f, a loop that does not belong to one run. Each time that f
// panics, it calls f again after a pause, since the process needs the loop as
// long as it runs. It returns when f returns, or after a panic once ctx has
// ended.
func (g Guard) Loop(ctx context.Context, name string, f func()) {
	for g.Catch(f, func() []zap.Field { return []zap.Field{zap.String("loop", name)} }) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
