// Package progress shows the progress of a command on a terminal.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/scriptfleet/scriptfleet/cmd/internal/escape"
)

// Line is one line of a terminal that is overwritten. It shows nothing if the
// output is not a terminal.
type Line struct {
	out  io.Writer
	wide int

	mu    sync.Mutex
	text  string
	start time.Time
	once  sync.Once // guards stop
	stop  chan struct{}
	done  chan struct{}
}

// Stderr is a Line on standard error.
func Stderr() *Line {
	l := &Line{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	if fd := int(os.Stderr.Fd()); term.IsTerminal(fd) {
		l.out = os.Stderr
		l.wide = 79
		if w, _, err := term.GetSize(fd); err == nil && w > 20 {
			l.wide = w - 1
		}
	}
	go l.loop()
	return l
}

// Say replaces the text of the line.
func (l *Line) Say(format string, args ...any) {
	l.mu.Lock()
	l.text = fmt.Sprintf(format, args...)
	l.mu.Unlock()
}

// Print prints a complete line above the changing one; without a terminal it
// only prints the line.
func (l *Line) Print(w io.Writer, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintln(w, escape.Lines(fmt.Sprintf(format, args...)))
}

// Stop removes the line. A second Stop does nothing.
func (l *Line) Stop() {
	l.once.Do(func() { close(l.stop) })
	<-l.done
	l.mu.Lock()
	l.clear()
	l.mu.Unlock()
}

var frames = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

func (l *Line) loop() {
	defer close(l.done)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.mu.Lock()
			l.draw(frames[i%len(frames)])
			l.mu.Unlock()
		}
	}
}

func (l *Line) draw(frame rune) {
	if l.out == nil || l.text == "" {
		return
	}
	text := []rune(fmt.Sprintf("%c %s  %.1f s", frame, escape.Text(l.text), time.Since(l.start).Seconds()))
	fmt.Fprintf(l.out, "\r\x1b[K%s", string(text[:min(len(text), l.wide)]))
}

func (l *Line) clear() {
	if l.out != nil {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}
