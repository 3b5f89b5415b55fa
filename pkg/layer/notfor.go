package layer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// badFile is what compile.py says about a file that does not compile.
type badFile struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0: unknown
	Why  string `json:"why"`
}

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
	for text := range strings.Lines(said) {
		var bad badFile
		if json.Unmarshal([]byte(text), &bad) != nil {
			continue
		}
		place := bad.File
		if bad.Line > 0 {
			place += fmt.Sprintf(", line %d", bad.Line)
		}
		p, known := owners[bad.File]
		if _, told := first[p.name]; known && !told {
			first[p.name] = fmt.Sprintf("warning: %s %s is not written for Python %s (%s: %s); if the script imports that, require a newer version of %s",
				p.name, p.version, minor, place, bad.Why, p.name)
		}
	}
	return slices.Sorted(maps.Values(first))
}
