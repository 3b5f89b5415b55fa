package layer

import (
	"context"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// parallelFrom is the first minor version whose bytecode does not depend on
// what the same process compiled before: from 3.12 on, names are immortal, and
// marshal no longer writes down whether somebody else holds them.
const parallelFrom = 12

// compile writes the bytecode beside the sources, for /opt/python, where the
// function will find it read-only. It is unchecked: a .pyc that carried its
// source's time would differ in each build. Files that do not compile (tests of
// syntax errors, code for another Python) stay as they are; nothing here fails
// a build. It tells whether there may be bytecode now.
func (b *Builder) compile(ctx context.Context, s run.Script, w workshop, log *buildLog) bool {
	python, ok := b.deps.Interpreters[s.Runtime.Python]
	if !ok {
		log.line(fmt.Sprintf("bytecode left out: no Python %s on the builder, so cold starts will take longer", s.Runtime.Python))
		return false
	}
	workers := "1"
	if minorNumber(s.Runtime.Python) >= parallelFrom {
		workers = "0" // as many as there are cores
	}
	args := []string{"-s", "-S", "-m", "compileall", "-qq", "-j", workers, "--invalidation-mode", "unchecked-hash", "-s", w.target, "-p", "/opt/python", w.target}
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + w.home, "TMPDIR=" + w.temp, "LANG=C.UTF-8", "PYTHONHASHSEED=0"}
	_, err := command{path: python.Path, args: args, env: env, dir: w.home}.run(ctx, log)
	switch {
	case context.Cause(ctx) != nil:
		return false
	case exited(err):
		log.line("bytecode compiled, except for files that are not for Python " + s.Runtime.Python)
	case err != nil:
		log.line(fmt.Sprintf("bytecode left out: %v", err))
		return false
	}
	return true
}
