package layer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// command is a program of a build. It runs in a sandbox that sees the program,
// an interpreter and the workshop, and may write the workshop alone.
type command struct {
	path    string
	args    []string
	env     []string // the whole of it
	work    workshop
	sees    []string // files and folders, absolute, besides the system's own
	writes  string   // a folder besides the workshop; empty for none
	network bool
	most    int // lines to return; default 400
}

// Bounds of a build's program. The wheels of a layer that fits take far less.
const (
	buildMemory    = 2 << 30
	buildProcesses = 256
	buildOpenFiles = 4096
)

// run runs the program, streams what it says into the log, and returns its last
// lines, scrubbed. Where it was stopped, the error is why; where it failed by
// itself it is an *exitError. A program and all that it started end with ctx.
func (c command) run(ctx context.Context, log *buildLog) (out string, err error) {
	heard := &lastLines{most: cmp.Or(c.most, 400)}
	w := &lineWriter{emit: func(line string) { heard.add(log.line(line)) }}
	err = c.execute(ctx, w)
	w.flush()
	if cause := context.Cause(ctx); cause != nil {
		return heard.String(), cause
	}
	return heard.String(), err
}

// exitError is a program that ended with an error of its own.
type exitError struct {
	program string
	code    int
	signal  string
	memory  bool // it was killed for the memory that it took
}

func (e *exitError) Error() string {
	switch {
	case e.memory:
		return fmt.Sprintf("%s took more than %s of memory", e.program, megabytes(buildMemory))
	case e.signal != "":
		return fmt.Sprintf("%s was ended by %s", e.program, e.signal)
	}
	return fmt.Sprintf("%s exited with %d", e.program, e.code)
}

// exited tells whether the program ended by itself and said why, rather than
// being stopped, killed or never started.
func exited(err error) bool {
	var exit *exitError
	return errors.As(err, &exit) && exit.signal == "" && !exit.memory
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

// system begins the paths that every sandbox sees.
var system = []string{"/usr/", "/bin/", "/lib", "/sbin/", "/nix/store/", "/etc/ssl/", "/etc/pki/", "/etc/ca-certificates/", "/etc/crypto-policies/"}

// inSystem tells whether a path needs no bind. A link is judged by where it
// leads too: that it stands in /usr helps nobody who can't follow it.
func inSystem(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	return beginsSystem(path) && beginsSystem(real)
}

func beginsSystem(path string) bool {
	for _, s := range system {
		if path == strings.TrimSuffix(s, "/") || strings.HasPrefix(path, s) {
			return true
		}
	}
	return false
}

// pythonPaths are what an interpreter consists of.
func pythonPaths(i interpreter.Interpreter) []string {
	paths := []string{i.Path}
	if i.Prefix != "" && !beginsSystem(i.Path) {
		paths = []string{i.Prefix}
		if !strings.HasPrefix(i.Path, i.Prefix+"/") {
			paths = append(paths, i.Path)
		}
	}
	return paths
}

// lendFiles copies what the installer has to read of this machine, such as
// certificates and a .netrc that only we may read, into the workshop, and
// returns the environment that points there.
func lendFiles(env []string, w workshop) ([]string, error) {
	lent := make([]string, 0, len(env))
	for n, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if !isFileSetting(name) || inSystem(value) || !isFile(value) {
			lent = append(lent, kv)
			continue
		}
		data, err := os.ReadFile(value)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		path := filepath.Join(w.root, fmt.Sprintf("lent-%d", n))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return nil, fmt.Errorf("lend %s: %w", name, err)
		}
		lent = append(lent, name+"="+path)
	}
	return lent, nil
}

func isFileSetting(name string) bool {
	switch name {
	case "SSL_CERT_FILE", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PIP_CLIENT_CERT", "NETRC":
		return true
	}
	return false
}
