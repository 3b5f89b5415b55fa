// Package interpreter finds the Python interpreters of this machine, whoever
// installed them: on the PATH, by a version manager, by uv. Shims are resolved
// once to the real executable, since they cost 100 ms a start.
//
// Each candidate is run once, all of them at the same time, and believed only
// in what it says of itself: a link that leads nowhere, a broken install or
// another implementation than CPython is left out without a word, since the
// question is what works.
package interpreter

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Interpreter is one Python that works.
type Interpreter struct {
	Path    string // the real executable, no shim and no link
	Version string // such as 3.13.0
	Minor   string // such as 3.13
	Prefix  string // directory that holds its standard library; /usr for the system's own
}

// Set is what was found: the newest interpreter for each minor version.
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

// Newest returns the interpreter of the highest version, or false where none
// was found.
func (s Set) Newest() (Interpreter, bool) {
	minors := s.Minors()
	if len(minors) == 0 {
		return Interpreter{}, false
	}
	return s[minors[len(minors)-1]], true
}

// add keeps the newer of two interpreters of a minor version.
func (s Set) add(i Interpreter) {
	if have, ok := s[i.Minor]; ok && compareVersions(have.Version, i.Version) >= 0 {
		return
	}
	s[i.Minor] = i
}

// compareVersions orders dotted numbers; what is no number counts as 0.
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
