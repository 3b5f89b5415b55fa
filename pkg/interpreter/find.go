package interpreter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// oldest is the lowest minor version of Python 3 that is looked for.
const oldest = 8

// patience bounds the run of one candidate: a shim on a slow network share must
// not delay the process's start.
const patience = 5 * time.Second

// ErrNone is why Find fails where no candidate works.
var ErrNone = errors.New("interpreter: no Python 3.8 or later found on the PATH, in pyenv, uv, asdf, mise, /usr/bin or /usr/local/bin; install one, for example with uv python install 3.13")

// Default is Find, called once per process. A failure is not kept: the next
// call tries again.
func Default(ctx context.Context) (Set, error) {
	found.Lock()
	defer found.Unlock()
	if found.set != nil {
		return found.set, nil
	}
	set, err := Find(ctx)
	if err == nil {
		found.set = set
	}
	return set, err
}

var found struct {
	sync.Mutex
	set Set
}

// Find looks for interpreters and runs each once. The error is ErrNone where it
// finds none, or the context's.
func Find(ctx context.Context) (Set, error) {
	paths := candidates()
	answers := make([]Interpreter, len(paths))
	var wg sync.WaitGroup
	faults := make([]error, len(paths))
	for n, path := range paths {
		wg.Go(func() { answers[n], faults[n] = ask(ctx, path) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("find interpreters: %w", err)
	}
	set := Set{}
	for _, i := range answers {
		if i.Path != "" {
			set.add(i)
		}
	}
	if len(set) == 0 {
		return nil, none(paths, faults)
	}
	return set, nil
}

// none is ErrNone, with the candidates that gave no answer in time: on a busy
// machine another try may find them.
func none(paths []string, faults []error) error {
	var late []string
	for n, err := range faults {
		if errors.Is(err, context.DeadlineExceeded) {
			late = append(late, paths[n])
		}
	}
	if len(late) == 0 {
		return ErrNone
	}
	return fmt.Errorf("%w. No answer within %s, perhaps as this machine is busy: %s; try again", ErrNone, patience, strings.Join(late, ", "))
}

// question is the program that each candidate runs, without the site module and
// without variables of our environment.
const question = `import sys
print(sys.implementation.name, "%d.%d.%d" % sys.version_info[:3], sys.executable, sys.base_prefix, sep="\n")`

func ask(ctx context.Context, path string) (Interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-S", "-c", question)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		err = cmp.Or(ctx.Err(), err) // a candidate that is killed for its delay reports a signal
		return Interpreter{}, fmt.Errorf("run %s: %w", path, err)
	}
	return parse(string(out))
}

// parse parses a candidate's output: implementation, version, executable and
// prefix, one per line.
func parse(answer string) (Interpreter, error) {
	lines := strings.Split(strings.TrimSuffix(answer, "\n"), "\n")
	if len(lines) != 4 {
		return Interpreter{}, fmt.Errorf("read answer: %d lines", len(lines))
	}
	name, version, executable, prefix := lines[0], lines[1], lines[2], lines[3]
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return Interpreter{}, fmt.Errorf("read version %q: %w", version, err)
	}
	if name != "cpython" || major != 3 || minor < oldest {
		return Interpreter{}, fmt.Errorf("%s is %s %s", executable, name, version)
	}
	real, err := filepath.EvalSymlinks(executable)
	if err != nil {
		return Interpreter{}, fmt.Errorf("resolve executable: %w", err)
	}
	return Interpreter{Path: real, Version: version, Minor: fmt.Sprintf("3.%d", minor), Prefix: prefix}, nil
}

// candidates lists the executables to run, each real file once.
func candidates() []string {
	var paths []string
	seen := map[string]bool{}
	for _, dir := range directories() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !wanted(e.Name()) {
				continue
			}
			real, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name()))
			if err != nil || seen[real] {
				continue
			}
			seen[real] = true
			paths = append(paths, real)
		}
	}
	return paths
}

var named = regexp.MustCompile(`^python3(?:\.(\d+))?$`)

// wanted tells by a file's name whether it may be a Python 3.8 or later.
func wanted(name string) bool {
	m := named.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	minor, err := strconv.Atoi(m[1])
	return m[1] == "" || (err == nil && minor >= oldest)
}

// directories lists the directories to search. For a directory of shims it
// lists the versions' own directories instead.
func directories() []string {
	home, _ := os.UserHomeDir()
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.Base(dir) == "shims" {
			root := filepath.Dir(dir)
			dirs = append(dirs, installs(root, "versions")...)
			dirs = append(dirs, installs(root, "installs", "python")...)
			continue
		}
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	dirs = append(dirs, installs(or(os.Getenv("PYENV_ROOT"), filepath.Join(home, ".pyenv")), "versions")...)
	data := or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local", "share"))
	dirs = append(dirs, installs(or(os.Getenv("UV_PYTHON_INSTALL_DIR"), filepath.Join(data, "uv", "python")))...)
	dirs = append(dirs, installs(or(os.Getenv("MISE_DATA_DIR"), filepath.Join(data, "mise")), "installs", "python")...)
	dirs = append(dirs, installs(or(os.Getenv("ASDF_DATA_DIR"), filepath.Join(home, ".asdf")), "installs", "python")...)
	return append(dirs, "/usr/bin", "/usr/local/bin")
}

// installs lists the bin directories of all versions installed under a
// directory.
func installs(under ...string) []string {
	root := filepath.Join(under...)
	if !filepath.IsAbs(root) || strings.ContainsAny(root, `*?[\`) {
		return nil
	}
	bins, _ := filepath.Glob(filepath.Join(root, "*", "bin"))
	return bins
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
