// Package interpreter finds the Python interpreters of this machine: on the
// PATH, and those of version managers and of uv. It resolves shims to the real
// executables once, because a shim costs 100 ms per start.
//
// It runs each candidate once, all at the same time, and uses only what the
// candidate reports about itself. A dangling link, a broken installation or an
// implementation other than CPython is left out silently: the question is which
// interpreters work.
package interpreter

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Interpreter is a working Python.
type Interpreter struct {
	Path    string // the real executable: not a shim, not a link
	Version string // such as 3.13.0
	Minor   string // such as 3.13
	Prefix  string // directory of its standard library; /usr for the system's own
}

// Set maps each minor version, such as 3.13, to its newest interpreter.
type Set map[string]Interpreter

// For returns the interpreter of a minor version, such as 3.13.
func (s Set) For(minor string) (Interpreter, bool) {
	i, ok := s[minor]
	return i, ok
}

// Minors lists the minor versions found, oldest first.
func (s Set) Minors() []string {
	minors := make([]string, 0, len(s))
	for m := range s {
		minors = append(minors, m)
	}
	slices.SortFunc(minors, compareVersions)
	return minors
}

// Newest returns the interpreter of the highest version, or false for an empty
// set.
func (s Set) Newest() (Interpreter, bool) {
	minors := s.Minors()
	if len(minors) == 0 {
		return Interpreter{}, false
	}
	return s[minors[len(minors)-1]], true
}

// add keeps the newer of two interpreters of the same minor version.
func (s Set) add(i Interpreter) {
	if have, ok := s[i.Minor]; ok && compareVersions(have.Version, i.Version) >= 0 {
		return
	}
	s[i.Minor] = i
}

// compareVersions compares dotted numbers; a part that is not a number counts
// as 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for n := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[n])
		y, _ := strconv.Atoi(bs[n])
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}
