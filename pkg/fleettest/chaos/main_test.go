package chaos

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

var (
	long   = flag.Bool("chaos.long", false, "also make the faults that take minutes")
	update = flag.Bool("chaos.update", false, "write what is measured into README.md")
)

// within bounds each wait. It is there for what never comes.
const within = 150 * time.Second

// atATime is how many faults are made at a time: the short ones mostly wait for
// a visibility to run out.
func atATime() string {
	if *long {
		return "4"
	}
	return "8"
}

// bin is the folder of the binaries, cache the cache folder of the processes.
var bin, cache string

func TestMain(m *testing.M) {
	sandbox.Main()
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
	// With time enough, the race detector is in them where these tests have it.
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

// last lets a fault last: its length is what it is.
func last(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
