package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

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
	if err := build(); err != nil {
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

// build makes the binaries as they are shipped; with time enough, with the race
// detector where these tests have it.
func build() error {
	args, cgo := []string{"build", "-buildvcs=false", "-o", bin + string(filepath.Separator)}, "0"
	if *long && raceDetector {
		args, cgo = append(args, "-race"), "1"
	}
	cmd := exec.Command("go", append(args, "../../../cmd/dispatcher", "../../../cmd/worker", "../../../cmd/scriptfleet")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// eventually waits until ok.
func eventually(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	if !soon(within, ok) {
		t.Fatalf("%s within %s", otherwise, within)
	}
}

// soon tells whether ok comes true in time.
func soon(limit time.Duration, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(limit); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
	return true
}

// last lets a fault last: its length is what it is.
func last(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
