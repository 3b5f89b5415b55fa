package layer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// compile writes the bytecode beside the sources, for /opt/python, where the
// function will find it read-only. It is unchecked: a .pyc that carried its
// source's time would differ in each build. Files that do not compile (tests of
// syntax errors, code for another Python) stay as they are; nothing here fails
// a build. It tells whether there may be bytecode now.
func (b *Builder) compile(ctx context.Context, s run.Script, w workshop, sources tree, log *buildLog) bool {
	python, ok := b.deps.Interpreters[s.Runtime.Python]
	if !ok {
		log.line(fmt.Sprintf("bytecode left out: no Python %s on the builder, so cold starts will take longer", s.Runtime.Python))
		return false
	}
	var g panics.Group
	parts := shares(sources, compilers(s.Runtime.Python))
	said := make([]string, len(parts))
	for n, part := range parts {
		g.Go(func() (err error) {
			list := filepath.Join(w.root, fmt.Sprintf("compile-%d.txt", n))
			if err := os.WriteFile(list, []byte(strings.Join(part, "\n")), 0o644); err != nil {
				return err
			}
			said[n], err = compileList(ctx, python, list, w)
			return err
		})
	}
	err := g.Wait()
	switch {
	case context.Cause(ctx) != nil:
		return false
	case exited(err):
		for _, line := range notForPython(strings.Join(said, "\n"), sources, s.Runtime.Python) {
			log.line(line)
		}
	case err != nil:
		log.line(fmt.Sprintf("bytecode left out: %v", err))
		return false
	}
	return true
}

// compileList returns what the compiler said of files that it can't compile.
func compileList(ctx context.Context, python interpreter.Interpreter, list string, w workshop) (string, error) {
	args := []string{"-s", "-S", "-W", "ignore", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", w.target, "-p", "/opt/python", "-i", list}
	// The seed decides in which order sets are written into bytecode.
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + w.home, "TMPDIR=" + w.home, "LANG=C.UTF-8", "PYTHONHASHSEED=0"}
	quiet := newBuildLog(func(string) {})
	quiet.hide(w.root)
	return command{path: python.Path, args: args, env: env, work: w, sees: pythonPaths(python), most: 20_000}.run(ctx, quiet)
}

// parallelFrom is the first minor version whose bytecode does not depend on
// what the same process compiled before: from 3.12 on, interned names are
// immortal, and marshal no longer writes down whether anybody else holds them.
const parallelFrom = 12

// compilers is how many processes compile. One, and so one order, where the
// result depends on it.
func compilers(minor string) int {
	if minorNumber(minor) < parallelFrom {
		return 1
	}
	return min(runtime.GOMAXPROCS(0), 4)
}

// shares deals the sources out to n processes, so that each has about as many
// bytes to compile. The packages' own tests, a third of pandas, stay sources:
// no script imports them.
func shares(sources tree, n int) [][]string {
	parts, loads := make([][]string, n), make([]int64, n)
	for _, f := range sources {
		if f.path == "" || !strings.HasSuffix(f.name, ".py") || strings.Contains(f.name, "/tests/") {
			continue
		}
		least := slices.Index(loads, slices.Min(loads))
		parts[least], loads[least] = append(parts[least], f.path), loads[least]+f.size
	}
	return slices.DeleteFunc(parts, func(p []string) bool { return len(p) == 0 })
}
