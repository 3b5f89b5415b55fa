package fleettest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// within bounds each wait. It is there for what never comes: what does come
// takes a fraction of it, on a busy machine too.
const within = 2 * time.Minute

// shipped is the folder of the binaries, built as for a release. checked is that
// of the same with the race detector in them, where these tests have it: the
// whole fleet in one process, under all that is wrong, is where races show.
var shipped, checked string

// cache is the cache folder of everything that the tests start.
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

// lookAtSources lists what the binaries are built from: go test keeps a result for
// as long as the folders that its tests have looked at do not change.
var lookAtSources = sync.OnceFunc(func() {
	for _, dir := range []string{"cmd", "dispatcher", "worker", "pkg"} {
		_ = filepath.WalkDir(filepath.Join("..", "..", dir), func(string, fs.DirEntry, error) error { return nil })
	}
})

func buildAll() error {
	if !raceDetector {
		checked = shipped
	} else if err := build(checked, "1", "-race", "../../cmd/scriptfleet"); err != nil {
		return err
	}
	return build(shipped, "0", "../../cmd/dispatcher", "../../cmd/worker", "../../cmd/scriptfleet")
}

func build(dir, cgo string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// environment is that of every process: the machine's own, without what would
// point it elsewhere.
func environment(env ...string) []string {
	lookAtSources()
	var all []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "AWS_") && !strings.HasPrefix(line, "SCRIPTFLEET_") && !strings.HasPrefix(line, "REDIS_URL=") {
			all = append(all, line)
		}
	}
	if uv, err := program.Tool("uv"); err == nil {
		all = append(all, "SCRIPTFLEET_UV="+uv)
	}
	return append(append(all, "XDG_CACHE_HOME="+cache, "GORACE=halt_on_error=0"), env...)
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

// eventually waits until ok.
func eventually(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(within); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s within %s", otherwise, within)
		}
	}
}
