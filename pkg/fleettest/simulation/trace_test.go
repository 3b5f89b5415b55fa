package simulation

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// trace is the list of events in order. It is formatted only for a failing
// seed.
type trace struct {
	mu    sync.Mutex
	lines []line
	ended bool // nothing is recorded any more
}

type line struct {
	at     time.Duration
	who    string
	format string
	args   []any
	fields []zapcore.Field
}

func (l line) String() string {
	text := fmt.Sprintf(l.format, l.args...)
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range l.fields {
		f.AddTo(enc)
		text += fmt.Sprintf("  %s=%v", f.Key, enc.Fields[f.Key])
	}
	return fmt.Sprintf("%10.3fs  %-14s %s", l.at.Seconds(), l.who, text)
}

func (t *trace) add(l line) {
	t.mu.Lock()
	if !t.ended {
		t.lines = append(t.lines, l)
	}
	t.mu.Unlock()
}

func (t *trace) end() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
}

// tail is the last n lines, after the earlier lines that contain one of the
// names.
func (t *trace) tail(n int, names ...string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out strings.Builder
	for i, l := range t.lines {
		text := l.String()
		for _, name := range names {
			if len(t.lines)-i > n && name != "" && strings.Contains(text, name) {
				fmt.Fprintln(&out, text)
				break
			}
		}
		if len(t.lines)-i <= n {
			fmt.Fprintln(&out, text)
		}
	}
	return out.String()
}

// log records an event of a site, or of its surroundings.
func (f *fleet) log(who, format string, args ...any) {
	f.trace.add(line{at: f.now(), who: who, format: format, args: args})
}

// logger returns a logger for a site that writes to the trace.
func (f *fleet) logger(name string) *zap.Logger { return zap.New(&core{f: f, name: name}) }

type core struct {
	f    *fleet
	name string
	with []zapcore.Field
}

func (c *core) Enabled(zapcore.Level) bool { return true }
func (c *core) Sync() error                { return nil }

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{c.f, c.name, append(c.with[:len(c.with):len(c.with)], fields...)}
}

func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return checked.AddCore(e, c)
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.f.trace.add(line{at: c.f.now(), who: c.name, format: "%s", args: []any{e.Message}, fields: append(fields[:len(fields):len(fields)], c.with...)})
	return nil
}
