package lasting

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Each is the name of loggers whose every line is written: each tells of another
// run.
const Each = "runs"

const (
	window     = 10 * time.Second
	perWindow  = 100  // lines of one kind
	maxKinds   = 1000 // beyond which lines are written without being counted
	leftOutMsg = "left out lines like this one"
)

// Repeats bounds how many lines of one kind are written: those of one level,
// logger and message. After perWindow in a window the others are counted, and at
// the end of the window a line tells how many were left out. Lines of loggers
// named [Each] are all written.
func Repeats(core zapcore.Core) zapcore.Core {
	return &repeats{Core: core, kinds: &kinds{to: core, counts: map[kind]*count{}}}
}

type repeats struct {
	zapcore.Core
	kinds *kinds
}

// kinds are shared by all loggers that were made from one.
type kinds struct {
	to     zapcore.Core
	mu     sync.Mutex
	counts map[kind]*count // of the present windows
}

type kind struct {
	level           zapcore.Level
	logger, message string
}

// count is that of one kind in its window.
type count struct{ lines, leftOut int }

func (r *repeats) With(fields []zapcore.Field) zapcore.Core {
	return &repeats{Core: r.Core.With(fields), kinds: r.kinds}
}

func (r *repeats) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !r.Enabled(e.Level) || !r.kinds.admit(e) {
		return to
	}
	return r.Core.Check(e, to)
}

// Sync writes what was left out so far.
func (r *repeats) Sync() error {
	r.kinds.mu.Lock()
	for k, c := range r.kinds.counts {
		r.kinds.tell(k, c)
	}
	r.kinds.mu.Unlock()
	return r.Core.Sync()
}

func (ks *kinds) admit(e zapcore.Entry) bool {
	if e.LoggerName == Each || strings.HasSuffix(e.LoggerName, "."+Each) {
		return true
	}
	k := kind{e.Level, e.LoggerName, e.Message}
	ks.mu.Lock()
	defer ks.mu.Unlock()
	c := ks.counts[k]
	if c == nil {
		if len(ks.counts) >= maxKinds {
			return true
		}
		c = &count{}
		ks.counts[k] = c
	}
	if c.lines++; c.lines <= perWindow {
		if c.lines == 1 {
			time.AfterFunc(window, func() { ks.ends(k) })
		}
		return true
	}
	c.leftOut++
	return false
}

// ends ends the window of a kind.
func (ks *kinds) ends(k kind) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	ks.tell(k, ks.counts[k])
	delete(ks.counts, k)
}

// tell writes how many lines were left out. The caller holds mu.
func (ks *kinds) tell(k kind, c *count) {
	if c.leftOut == 0 {
		return
	}
	e := zapcore.Entry{Level: k.level, LoggerName: k.logger, Message: leftOutMsg, Time: time.Now()}
	_ = ks.to.Write(e, []zapcore.Field{zap.String("message", k.message), zap.Int("left_out", c.leftOut)})
	c.leftOut = 0
}
