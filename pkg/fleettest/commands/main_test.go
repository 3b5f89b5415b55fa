package commands

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// within bounds each wait. It is there for what never comes.
const within = 2 * time.Minute

// binaries is the folder of the programs, built as for a release; cache is that
// of what they keep, and standIns that of what stands in for make and go.
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

// environment is that of every process. Addresses are free ones, so that the
// tests get along with whatever else runs here.
func environment(more ...string) []string {
	return program.Environment(append([]string{
		"XDG_CACHE_HOME=" + cache, "SCRIPTFLEET_AWS_ADDR=127.0.0.1:0", "SCRIPTFLEET_REDIS_ADDR=127.0.0.1:0", "SCRIPTFLEET_ADMIN_ADDR=127.0.0.1:0",
	}, more...)...)
}

func binary(name string) string { return filepath.Join(binaries, name) }

// told is what a command left behind.
type told struct {
	stdout, stderr string
	code           int
}

// scriptfleet runs the command to its end.
func scriptfleet(t *testing.T, env []string, args ...string) told {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary("scriptfleet"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = env, &stdout, &stderr, t.TempDir()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return told{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var export = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)

// local is a stack that a test has started, and the environment that it told.
type local struct {
	*process.Process
	env []string
}

// startLocal starts the embedded stack, with a fleet unless the flags say
// otherwise, and waits until it is up.
func startLocal(t *testing.T, env []string, flags ...string) local {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleet.env")
	l := local{Process: process.Start(t, env, binary("scriptfleet"), append([]string{"local", "--env-file", file}, flags...)...)}
	wait.Until(t, within, "scriptfleet local does not come up", func() bool {
		exports, _ := os.ReadFile(file)
		for _, m := range export.FindAllStringSubmatch(string(exports), -1) {
			l.env = append(l.env, m[1]+"="+m[2])
		}
		return len(l.env) > 0 || l.Gone()
	})
	if l.Gone() {
		t.Fatal("scriptfleet local has ended")
	}
	l.env = append(env, l.env...)
	return l
}

// says fails where the command did not exit so, or its stderr lacks a part.
func (g told) says(t *testing.T, code int, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(g.stderr, part) {
			t.Errorf("stderr does not say %q", part)
		}
	}
	if g.code != code || t.Failed() {
		t.Errorf("exit code %d, not %d; stdout %q, stderr %q", g.code, code, g.stdout, g.stderr)
	}
}
