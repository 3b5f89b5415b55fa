package layer

import (
	"context"
	_ "embed"
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

//go:embed compile.py
var compiler string

// compile writes bytecode beside the sources, with the paths below /opt/python
// where the function reads it. The .pyc files are unchecked: checked ones
// contain the time or hash of the source, and times differ between builds.
// Files that do not compile (tests of syntax errors, code for another Python)
// stay without bytecode. Nothing here fails a build. compile returns whether
// bytecode may have been written.
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
	case err != nil:
		log.line(fmt.Sprintf("bytecode left out: %v", err))
		return false
	}
	for _, line := range notForPython(strings.Join(said, "\n"), sources, s.Runtime.Python) {
		log.line(line)
	}
	return true
}

// compileList compiles the listed files and returns what compile.py says about
// those that it can't compile.
func compileList(ctx context.Context, python interpreter.Interpreter, list string, w workshop) (string, error) {
	args := []string{"-s", "-S", "-W", "ignore", "-c", compiler, w.target, list}
	// A fixed hash seed: it decides the order of sets in bytecode.
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + w.home, "TMPDIR=" + w.home, "LANG=C.UTF-8", "PYTHONHASHSEED=0"}
	quiet := newBuildLog(func(string) {})
	return command{path: python.Path, args: args, env: env, work: w, sees: pythonPaths(python), most: 20_000}.run(ctx, quiet)
}

// parallelFrom is the first minor version of Python 3 whose bytecode does not
// depend on what the same process compiled before. From 3.12 on interned
// strings are immortal, and marshal no longer depends on their reference
// counts.
const parallelFrom = 12

// compilers is the most compiler processes. It is 1 where the bytecode depends
// on the order of compilation (see parallelFrom).
func compilers(minor string) int {
	if minorNumber(minor) < parallelFrom {
		return 1
	}
	return min(runtime.GOMAXPROCS(0), 4)
}

// worthAProcess is the size in bytes of the sources that take as long to compile
// as another process takes to start, some 40 ms.
const worthAProcess = 256 << 10

// shares divides the sources among at most n processes by size in bytes. It
// leaves out the packages' own tests, a third of pandas: scripts do not import
// them.
func shares(sources tree, n int) [][]string {
	var chosen tree
	for _, f := range sources {
		if f.path != "" && strings.HasSuffix(f.name, ".py") && !strings.Contains(f.name, "/tests/") && !strings.Contains(f.name, "\n") {
			chosen = append(chosen, f)
		}
	}
	n = min(n, 1+int(chosen.bytes()/worthAProcess))
	parts, loads := make([][]string, n), make([]int64, n)
	for _, f := range chosen {
		least := slices.Index(loads, slices.Min(loads))
		parts[least], loads[least] = append(parts[least], f.name), loads[least]+f.size
	}
	return slices.DeleteFunc(parts, func(p []string) bool { return len(p) == 0 })
}
