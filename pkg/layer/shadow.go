package layer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// A layer's modules precede Python's own on a function's path; modules in
// site-packages follow them. So a package that contains a module of the
// standard library, such as asyncio, typing or enum34, does no harm on its
// author's machine and breaks every import on Lambda.

// withoutShadows removes installed modules that would replace one of Python's
// own. If a package that the author requires consists of nothing else, it
// fails: the author has to remove the requirement.
func withoutShadows(installed tree, s run.Script, w workshop, log *buildLog) (tree, error) {
	left := map[string]bool{}
	for _, p := range installed.packages() {
		modules := p.modules()
		shadows := slices.DeleteFunc(slices.Clone(modules), func(top string) bool {
			return !installed.imports(top) || !inStandardLibrary(moduleOf(top), s.Runtime.Python)
		})
		if len(shadows) == 0 {
			continue
		}
		if line := lineOf(s.Requirements, p.name); line != "" && len(shadows) == len(modules) {
			return nil, partOfPython(line, moduleOf(shadows[0]), s.Runtime)
		}
		for _, top := range shadows {
			left[top] = true
			log.line(fmt.Sprintf("left out %s of %s %s: Python %s has its own", moduleOf(top), p.name, p.version, s.Runtime.Python))
			if err := os.RemoveAll(filepath.Join(w.target, top)); err != nil {
				return nil, fmt.Errorf("leave out %s: %w", top, err)
			}
		}
	}
	return slices.DeleteFunc(installed, func(f file) bool { return left[topOf(f.name)] }), nil
}

// imports tells whether a file or folder directly below python/ is a module
// that precedes the standard library's. A folder without __init__ does not.
func (t tree) imports(top string) bool {
	_, ok := slices.BinarySearchFunc(t, top, func(f file, name string) int { return strings.Compare(f.name, name) })
	return ok || slices.ContainsFunc(t, func(f file) bool { return strings.HasPrefix(f.name, top+"/__init__.") })
}

func topOf(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

func moduleOf(top string) string {
	module, _, _ := strings.Cut(top, ".")
	return module
}

// lineOf is the author's line that requires the package, without hashes, or ""
// if only another package requires it.
func lineOf(requirements, name string) string {
	for line := range strings.Lines(requirements) {
		line, _, _ = strings.Cut(line, " --hash=")
		if line = strings.TrimSpace(line); plainName(nameOf(line)) == plainName(name) {
			return line
		}
	}
	return ""
}

// plainName normalises a package's name: uv, pip and metadata write it
// differently.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}

func partOfPython(line, module string, r run.Runtime) *run.Error {
	if plainName(nameOf(line)) == plainName(module) {
		return authorError(TypePartOfPython, "%s is part of Python %s: remove the line %s from the requirements.", module, r.Python, line)
	}
	return authorError(TypePartOfPython, "%s would take the place of %s, which is part of Python %s: remove the line %s from the requirements.", nameOf(line), module, r.Python, line)
}

func noLongerPartOfPython(module, successor string) *run.Error {
	mend := "Do without it, or use an older runtime."
	if successor != "" {
		mend = fmt.Sprintf("Require %s in its place, or use an older runtime.", successor)
	}
	return authorError(TypePartOfPython, "%s was part of Python until 3.%d, and the package index has no %s. %s", module, until[module]-1, module, mend)
}
