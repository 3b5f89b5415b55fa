package console

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// binaries is the folder of the shipped binaries, cache the cache folder of the
// processes.
var binaries, cache string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "console-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries, cache = filepath.Join(dir, "bin"), filepath.Join(dir, "cache")
	if err := errors.Join(os.Mkdir(cache, 0o700), program.Build(binaries, false, "scriptfleet")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
