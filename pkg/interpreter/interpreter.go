// Package interpreter finds the Python interpreters of this machine, whoever
// installed them: on the PATH, by a version manager, by uv. Shims are resolved
// once to the real executable, since they cost 100 ms a start.
package interpreter

// Interpreter is one Python that works.
type Interpreter struct {
	Path    string // the real executable, no shim and no link
	Version string // such as 3.13.0
	Minor   string // such as 3.13
}

// Set is what was found: the newest interpreter for each minor version.
type Set map[string]Interpreter
