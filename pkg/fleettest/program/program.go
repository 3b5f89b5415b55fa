// Package program provides the programs that tests start: the project's own
// binaries, the tools that `make setup` installs, and their environment.
package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const commands = "github.com/scriptfleet/scriptfleet/cmd/"

// All are the shipped binaries.
var All = []string{"dispatcher", "worker", "scriptfleet"}

// Build puts binaries into dir, built as for a release, or with the race
// detector.
//
// All packages whose tests call it share one build in bin/tests, where go build
// links a binary only if it is out of date. dir gets hard links, which a later
// build of changed sources does not replace.
func Build(dir string, race bool, names ...string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	shared := filepath.Join(root, "bin", "tests", map[bool]string{false: "plain", true: "race"}[race])
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.MkdirAll(shared, 0o755)); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(shared, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := build(root, shared, race, names); err != nil {
		return err
	}
	for _, name := range names {
		if err := link(filepath.Join(shared, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func build(root, dir string, race bool, names []string) error {
	args, cgo := []string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}, "0"
	if race {
		args, cgo = append(args, "-race"), "1"
	}
	for _, name := range names {
		args = append(args, commands+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// link copies the file if the folders are on two file systems.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// lock waits for other test processes that build.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}

// Environment is the machine's environment without variables that would
// redirect a process, with uv if it is installed, and with more.
func Environment(more ...string) []string {
	lookAtSources()
	var all []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "AWS_") && !strings.HasPrefix(line, "SCRIPTFLEET_") && !strings.HasPrefix(line, "REDIS_URL=") {
			all = append(all, line)
		}
	}
	if uv, err := Tool("uv"); err == nil {
		all = append(all, "SCRIPTFLEET_UV="+uv)
	}
	return append(all, more...)
}

// lookAtSources lists the binaries' source folders: go test caches a result as
// long as the folders that its tests have listed do not change.
var lookAtSources = sync.OnceFunc(func() {
	root, err := Root()
	if err != nil {
		return
	}
	for _, dir := range []string{"cmd", "dispatcher", "worker", "pkg"} {
		_ = filepath.WalkDir(filepath.Join(root, dir), func(string, fs.DirEntry, error) error { return nil })
	}
})
