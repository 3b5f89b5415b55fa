package layer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Output lines of compileall about a file: its path, the line, and the error.
var (
	badFile = regexp.MustCompile(`^\*\*\* Error compiling '(?:python/)?(.+)'\.\.\.$`)
	badLine = regexp.MustCompile(`^\s*File ".*", line (\d+)`)
	badWhy  = regexp.MustCompile(`^(?:Sorry: )?\w+Error: (.+)$`)
)

// notForPython returns one warning for each package with files that the
// runtime's Python can't compile. They do not fail a build: many packages
// contain files for other versions of Python that nothing imports. If a script
// does import one, the warning explains why its run fails.
func notForPython(said string, installed tree, minor string) []string {
	owners := map[string]installedPackage{}
	for _, p := range installed.packages() {
		for _, f := range p.files {
			owners[f] = p
		}
	}
	first := map[string]string{} // by package
	file, place := "", ""
	for text := range strings.Lines(said) {
		text = strings.TrimRight(text, "\n")
		if m := badFile.FindStringSubmatch(text); m != nil {
			file, place = m[1], m[1]
		} else if m := badLine.FindStringSubmatch(text); m != nil {
			place = file + ", line " + m[1]
		} else if m := badWhy.FindStringSubmatch(text); m != nil {
			p, known := owners[file]
			if _, told := first[p.name]; known && !told {
				first[p.name] = fmt.Sprintf("warning: %s %s is not written for Python %s (%s: %s); if the script imports that, require a newer version of %s",
					p.name, p.version, minor, place, m[1], p.name)
			}
		}
	}
	return slices.Sorted(maps.Values(first))
}
