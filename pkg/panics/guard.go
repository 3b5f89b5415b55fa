package panics

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Guard catches the panics of one part of the platform, logs each with its id
// and stack, and counts it. The zero Guard catches them only.
type Guard struct {
	Log   *zap.Logger
	Count func()
}

// Catch is [Catch], and reports the panic. what names the work; it is called
// once f has panicked, and may be nil.
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

// pause is how long a loop that panicked stands still: long enough to bound the
// log where each round panics, and short beside a claim's time.
const pause = time.Second

// Loop calls a loop that belongs to no single run, and calls it again after a
// pause each time that it panics: a process that has lost such a loop would go
// on with half of its work undone. It returns when f does, or once ctx has
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
