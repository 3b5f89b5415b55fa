// Package lasting logs a fault that meets every call while it lasts: a line when
// it begins, a line with a count every few minutes, and a line when it is over.
// Repeats bounds all other lines that repeat.
package lasting

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// again is the time between two lines of a fault that lasts.
const again = 5 * time.Minute

// Fault is one of those that a part of a process meets. It is safe for concurrent
// use.
type Fault struct {
	log          *zap.Logger
	begins, ends string // messages

	on atomic.Bool // whether it lasts; so that Over costs a call without a fault nothing

	mu    sync.Mutex
	since time.Time
	told  time.Time // when the last line was logged
	times int       // calls that it met
}

// New makes a fault. begins says what fails and what happens meanwhile, ends that
// it works again.
func New(log *zap.Logger, begins, ends string) *Fault {
	return &Fault{log: log, begins: begins, ends: ends}
}

// Met counts a call that failed. The fields go into the lines that are logged for
// it.
func (f *Fault) Met(err error, fields ...zap.Field) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.times++
	fields = append(fields, zap.Error(err))
	switch {
	case !f.on.Load():
		f.on.Store(true)
		f.since, f.times = now, 1
	case now.Sub(f.told) < again:
		return
	default:
		fields = append(fields, f.count(now)...)
	}
	f.told = now
	f.log.Warn(f.begins, fields...)
}

// Over notes a call that succeeded.
func (f *Fault) Over(fields ...zap.Field) {
	if !f.on.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on.CompareAndSwap(true, false) {
		f.log.Info(f.ends, append(fields, f.count(time.Now())...)...)
	}
}

func (f *Fault) count(now time.Time) []zap.Field {
	return []zap.Field{zap.Int("times", f.times), zap.Duration("for", now.Sub(f.since))}
}
