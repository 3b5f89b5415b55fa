package layer

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// command is a program to run in a build.
type command struct {
	path string
	args []string
	env  []string // the whole of it
	dir  string
	most int // lines to return; default 400
}

// run runs the program, streams what it says into the log, and returns its last
// lines, scrubbed. Where it was stopped, the error is why. A program and all
// that it started end with ctx.
func (c command) run(ctx context.Context, log *buildLog) (out string, err error) {
	heard := &lastLines{most: cmp.Or(c.most, 400)}
	w := &lineWriter{emit: func(line string) { heard.add(log.line(line)) }}
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	w.flush()
	if cause := context.Cause(ctx); cause != nil {
		return heard.String(), cause
	}
	return heard.String(), err
}

// exited tells whether the program itself ended with an error, rather than
// being stopped or never started.
func exited(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() > 0
}

// lastLines keeps the last lines of what a program says.
type lastLines struct {
	most  int
	lines []string
}

func (l *lastLines) add(line string) {
	l.lines = append(l.lines, line)
	if len(l.lines) > l.most {
		l.lines = l.lines[1:]
	}
}

func (l *lastLines) String() string { return strings.Join(l.lines, "\n") }
