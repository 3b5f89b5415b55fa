package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// within bounds each wait; only a failure takes as long.
const within = 2 * time.Minute

// binaries is the folder of the programs, built as for a release; cache is
// their cache folder; standIns has the replacements for make and go.
var binaries, cache, standIns string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "commands-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries, cache, standIns = filepath.Join(dir, "bin"), filepath.Join(dir, "cache"), filepath.Join(dir, "stand-ins")
	if err := errors.Join(os.Mkdir(cache, 0o700), os.Mkdir(standIns, 0o700), program.Build(binaries, false, program.All...)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// environment is the environment of every process. Its addresses are free ones,
// so that nothing else on the machine disturbs the tests.
func environment(more ...string) []string {
	return program.Environment(append([]string{
		"XDG_CACHE_HOME=" + cache, "SCRIPTFLEET_AWS_ADDR=127.0.0.1:0", "SCRIPTFLEET_REDIS_ADDR=127.0.0.1:0", "SCRIPTFLEET_ADMIN_ADDR=127.0.0.1:0",
	}, more...)...)
}

func binary(name string) string { return filepath.Join(binaries, name) }

// told is what a command printed, and its exit code.
type told process.Ended

// scriptfleet runs the command to its end.
func scriptfleet(t *testing.T, env []string, args ...string) told {
	t.Helper()
	return run(t, env, "scriptfleet", args...)
}

// run runs a binary to its end.
func run(t *testing.T, env []string, name string, args ...string) told {
	t.Helper()
	return told(process.Run(t, env, "", binary(name), args...))
}

// local is a stack that a test has started, and the environment that the stack
// printed.
type local struct {
	*process.Process
	env []string
}

// startLocal starts the embedded stack, with a fleet unless the flags disable
// it, and waits until it is ready.
func startLocal(t *testing.T, env []string, flags ...string) local {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleet.env")
	l := local{Process: process.Start(t, env, binary("scriptfleet"), append([]string{"local", "--env-file", file}, flags...)...)}
	l.env = slices.Concat(env, fleettest.AwaitSettings(t, l.Process, file).Lines())
	return l
}

// says fails if the command did not exit with code, or its stderr lacks a part.
func (g told) says(t *testing.T, code int, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(g.Stderr, part) {
			t.Errorf("stderr does not say %q", part)
		}
	}
	if g.Code != code || t.Failed() {
		t.Errorf("exit code %d, not %d; stdout %q, stderr %q", g.Code, code, g.Stdout, g.Stderr)
	}
}
