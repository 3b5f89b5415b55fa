package fleettest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// shipped is the folder of the binaries, built as for a release. checked has
// the same binaries with the race detector, if the tests have it too: a whole
// fleet in one process under load shows races best.
var shipped, checked string

// cache is the cache folder of all processes that the tests start.
var cache string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fleettest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shipped, checked, cache = filepath.Join(dir, "bin"), filepath.Join(dir, "checked"), filepath.Join(dir, "cache")
	if err := errors.Join(os.Mkdir(cache, 0o700), buildAll()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return mototest.Run(m)
}

func buildAll() error {
	if !program.RaceDetector {
		checked = shipped
	} else if err := program.Build(checked, true, "scriptfleet"); err != nil {
		return err
	}
	return program.Build(shipped, false, program.All...)
}

// ofTheTests are the variables of every process. Env runners are off but in the
// tests of them: many tests count functions and builds, or tell them apart.
func ofTheTests(more ...string) []string {
	return append(more, "XDG_CACHE_HOME="+cache, "GORACE=halt_on_error=0 atexit_sleep_ms=10", "SCRIPTFLEET_ENV_RUNNER=off")
}

// tool is the path of a program that `make setup` installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := program.Tool(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func eventually(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	wait.Until(t, Within, otherwise, ok)
}
