package architecture

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// So many equal lines in two test packages are a copy: shared test code belongs
// in pkg/fleettest, or in the suite of a contract.
const tooManyLines = 6

func TestNoSixLinesStandInTwoTestPackages(t *testing.T) {
	sources, err := testSources(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 100 {
		t.Fatalf("only %d files of tests were found", len(sources))
	}
	for _, copied := range repeated(sources) {
		t.Error(copied)
	}
}

func TestACopyIsFoundHoweverItIsLaidOut(t *testing.T) {
	const original = `package a

import "testing"

// eventually waits.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 100 {
		if ok() {
			return
		}
		tick()
	}
	t.Fatal("it does not come")
}
`
	moved := strings.NewReplacer("package a", "package b", "\t", "    ", "// eventually waits.", "// another comment\n", "import \"testing\"", "import (\n\t\"os\"\n)\n\nvar x = 1").Replace(original)
	both := []source{countedLines("pkg/a/a_test.go", original), countedLines("pkg/b/b_test.go", moved)}
	if found := repeated(both); len(found) != 1 || !strings.HasPrefix(found[0], "pkg/a/a_test.go:6-14 and pkg/b/b_test.go:11-19 ") {
		t.Errorf("of a copy it says %q", found)
	}
	inOne := []source{countedLines("pkg/a/a_test.go", original), countedLines("pkg/a/b_test.go", moved)}
	if found := repeated(inOne); len(found) > 0 {
		t.Errorf("of a copy within one package it says %q", found)
	}
	shorter := []source{both[0], countedLines("pkg/b/b_test.go", strings.Replace(moved, "tick()", "", 1))}
	if found := repeated(shorter); len(found) > 0 {
		t.Errorf("of fewer than six lines in a row it says %q", found)
	}
}

// source is a test file: the lines that are compared, and their line numbers.
type source struct {
	file  string
	lines []string
	at    []int
}

var (
	importBlock = regexp.MustCompile(`(?m)^import (\((?s:.*?)^\)|.*)$`)
	saysNothing = regexp.MustCompile(`^(//.*|package \w+|[^\pL\pN]*)$`)
)

// countedLines leaves out lines that are often equal by chance: imports,
// comments, and lines of punctuation only.
func countedLines(file, text string) source {
	s := source{file: file}
	text = importBlock.ReplaceAllStringFunc(text, func(block string) string { return strings.Repeat("\n", strings.Count(block, "\n")) })
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); !saysNothing.MatchString(line) {
			s.lines, s.at = append(s.lines, line), append(s.at, n)
		}
	}
	return s
}

// run is the position of the first of some lines.
type run struct{ file, line int }

// repeated finds runs of equal lines in two packages; it reports each run once.
func repeated(sources []source) (found []string) {
	first := map[string][]run{} // by the text of tooManyLines lines: where they appear
	said := map[[2]run]bool{}
	for f, s := range sources {
		for n := 0; n+tooManyLines <= len(s.lines); n++ {
			window := strings.Join(s.lines[n:n+tooManyLines], "\n")
			for _, other := range first[window] {
				if path.Dir(sources[other.file].file) == path.Dir(s.file) {
					continue
				}
				pair := [2]run{other, {f, n}}
				said[pair] = true
				if !said[[2]run{{other.file, other.line - 1}, {f, n - 1}}] { // else part of the run that the previous line has begun
					found = append(found, tell(sources[other.file], other.line, s, n))
				}
			}
			first[window] = append(first[window], run{f, n})
		}
	}
	return found
}

func tell(a source, at int, b source, bt int) string {
	n := 0
	for at+n < len(a.lines) && bt+n < len(b.lines) && a.lines[at+n] == b.lines[bt+n] {
		n++
	}
	return fmt.Sprintf("%s:%d-%d and %s:%d-%d are the same %d lines: put what both need into pkg/fleettest",
		a.file, a.at[at], a.at[at+n-1], b.file, b.at[bt], b.at[bt+n-1], n)
}

// testSources reads the tests of all packages, and the suites that they import.
func testSources(root string) (sources []source, err error) {
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"testdata", "bin"}, d.Name())):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go"):
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !strings.HasSuffix(name, "_test.go") && !isSuite(path.Dir(name)) {
			return nil
		}
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) { // removed after it was listed
			return nil
		}
		sources = append(sources, countedLines(name, string(text)))
		return err
	})
	return sources, err
}
