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

// command is a program that a build runs. Its sandbox contains the program, an
// interpreter and the workshop; it can write only to the workshop and to
// writes.
type command struct {
	path    string
	args    []string
	env     []string // the complete environment
	work    workshop
	sees    []string // absolute paths that the sandbox contains besides those of the system
	writes  string   // one more folder that it may write; empty for none
	network bool
	most    int // the most lines that run returns; default 400
}

// Limits of a build's program. Packages that fit into a layer need far less.
const (
	buildMemory    = 2 << 30
	buildProcesses = 256
	buildOpenFiles = 4096
)

// run runs the program and copies its output to the log. It returns the last
// lines of the output without addresses. The error is the cause of ctx's end if
// ctx stopped the program, and an *exitError if the program failed by itself.
// When ctx ends, the program and its child processes are killed.
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

// exitError is the error of a program that failed by itself.
type exitError struct {
	program string
	code    int
	signal  string
	memory  bool // the kernel killed it for its memory
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

// exited tells whether the program ended by itself with an exit code, rather
// than being killed or not started.
func exited(err error) bool {
	var exit *exitError
	return errors.As(err, &exit) && exit.signal == "" && !exit.memory
}

// lastLines keeps the last lines of a program's output.
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

// system are the prefixes of paths that every sandbox contains.
var system = []string{"/usr/", "/bin/", "/lib", "/sbin/", "/nix/store/", "/etc/ssl/", "/etc/pki/", "/etc/ca-certificates/", "/etc/crypto-policies/"}

// inSystem tells whether a path is part of every sandbox. Both a link and its
// target must be below a prefix in system, because the sandbox lacks any other
// target.
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

// pythonPaths are the paths of an interpreter and its libraries.
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

// lendFiles copies files that the installer reads from outside (certificates, a
// .netrc that is readable by this user only) into the workshop, and returns env
// with the copies' paths.
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
