package chaos

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

var (
	long   = flag.Bool("chaos.long", false, "also make the faults that take minutes")
	update = flag.Bool("chaos.update", false, "write what is measured into README.md")
)

// within bounds each wait; only a failure takes as long.
const within = 150 * time.Second

// atATime is how many faults run in parallel: the short ones mostly wait for a
// visibility timeout.
func atATime() string {
	if *long {
		return "4"
	}
	return "8"
}

// bin is the folder of the binaries, cache the processes' cache folder.
var bin, cache string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin, cache = filepath.Join(dir, "bin"), filepath.Join(dir, "cache")
	// With -chaos.long and -race the binaries have the race detector too.
	if err := program.Build(bin, *long && program.RaceDetector, program.All...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := flag.Set("test.parallel", atATime()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if *update {
		if err := table.write(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// last waits for d: the fault itself lasts that long.
func last(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
