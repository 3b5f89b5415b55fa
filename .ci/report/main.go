// Report reads the output of `go test -json` and prints what `go test` alone
// would: a line for each package, and everything about what failed. It fails,
// and names them, where tests were skipped and CI is true: a test that needs
// something has to be given it there, not passed over.
//
//	go test -json ./... | go run ./.ci/report
//
// Failures themselves are told by go test's own exit code.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is what `go doc test2json` describes, as far as it is needed here.
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	ImportPath string // of build output
}

func main() {
	skipped, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "read the tests' output:", err)
		os.Exit(1)
	}
	for _, name := range skipped {
		fmt.Println("SKIP", name)
	}
	if len(skipped) > 0 && os.Getenv("CI") == "true" {
		fmt.Println("FAIL: in CI no test may be skipped; give it what it needs in `make setup`")
		os.Exit(1)
	}
}

// report copies what counts from in to out, and returns the skipped tests.
func report(in io.Reader, out io.Writer) (skipped []string, err error) {
	said := words{}
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(out, line) // not of test2json: the go command's own words
			} else if name := e.tell(said, out); name != "" {
				skipped = append(skipped, name)
			}
		}
		if err == io.EOF {
			return skipped, nil
		}
		if err != nil {
			return skipped, err
		}
	}
}

// tell prints e, or keeps it until it is known whether it counts. It returns the
// name of a test that was skipped.
func (e event) tell(said words, out io.Writer) (skipped string) {
	name := e.Package + " " + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Fprint(out, e.Output)
	case e.Action == "output" && (e.Test == "" || strings.HasPrefix(e.Test, "Benchmark")):
		if !e.noise() {
			fmt.Fprint(out, e.Output)
		}
	case e.Action == "output":
		said[name] = append(said[name], e.Output)
	case e.Action == "fail" && e.Test == "":
		for other := range said { // tests that a panic or a timeout cut short
			if strings.HasPrefix(other, name) {
				said.print(other, out)
			}
		}
	case e.Action == "fail":
		said.print(name, out)
	case e.Action == "skip" && e.Test != "":
		delete(said, name)
		return name
	case e.Action == "pass":
		delete(said, name)
	}
	return ""
}

// noise tells whether an output is one that go test alone would not have, or
// that each package with a benchmark repeats.
func (e event) noise() bool {
	line := strings.TrimSuffix(e.Output, "\n")
	first, _, _ := strings.Cut(line, " ")
	return strings.Contains(line, "[no test files]") || line == e.Test ||
		slices.Contains([]string{"PASS", "===", "goos:", "goarch:", "pkg:", "cpu:"}, first)
}

// words are what tests have said, by package and name, until it is known
// whether it counts.
type words map[string][]string

func (w words) print(name string, out io.Writer) {
	for _, s := range w[name] {
		fmt.Fprint(out, s)
	}
	delete(w, name)
}
