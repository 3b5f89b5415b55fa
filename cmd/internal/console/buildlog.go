package console

import (
	"slices"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Bounds of BuildLogs.
const (
	keptLogs  = 64
	keptLines = 400
)

// BuildLogs keeps the last lines of the latest layer builds of this process. The
// zero value is empty. It is safe for concurrent use; a nil BuildLogs has none.
type BuildLogs struct {
	mu     sync.Mutex
	logs   map[run.EnvHash]*buildLog
	oldest []run.EnvHash
}

type buildLog struct {
	lines []string
	last  time.Time // when the last line came
}

// quiet is the time without a line after which a line begins a new build: an
// installer that waits for an index says so more often.
const quiet = 2 * time.Minute

// Add adds a line that an installer printed.
func (b *BuildLogs) Add(env run.EnvHash, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.logs[env]
	if l == nil {
		l = &buildLog{}
		b.keep(env, l)
	}
	if time.Since(l.last) > quiet {
		l.lines = nil
	}
	l.lines, l.last = append(l.lines, line), time.Now()
	l.lines = l.lines[max(0, len(l.lines)-keptLines):]
}

func (b *BuildLogs) keep(env run.EnvHash, l *buildLog) {
	if b.logs == nil {
		b.logs = map[run.EnvHash]*buildLog{}
	}
	b.logs[env], b.oldest = l, append(b.oldest, env)
	if len(b.oldest) > keptLogs {
		delete(b.logs, b.oldest[0])
		b.oldest = b.oldest[1:]
	}
}

// of are the lines of an env's build, if it has printed any since: a run that was
// sent later needed no build.
func (b *BuildLogs) of(env run.EnvHash, since time.Time) []string {
	if b == nil || env == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.logs[env]; l != nil && l.last.After(since) {
		return slices.Clone(l.lines)
	}
	return nil
}
