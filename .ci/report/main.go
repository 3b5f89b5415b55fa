// Report reads the output of `go test -json` and prints what `go test` alone
// would: a line for each package, and all output of failures. If CI is true and
// tests were skipped, it lists them and fails: a test that needs a tool must
// get it there.
//
//	go test -json ./... | go run ./.ci/report
//
// For failed tests go test's own exit code is used.
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

// event is the part of `go doc test2json`'s event that is needed here.
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

// report copies the relevant output from in to out, and returns the skipped
// tests.
func report(in io.Reader, out io.Writer) (skipped []string, err error) {
	said := words{}
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(out, line) // not JSON: the go command's own message
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

// tell prints e, or keeps it until the result of its test is known. It returns
// the name of a skipped test.
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
		for other := range said { // tests that a panic or a timeout ended
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

// noise tells whether an output line would not be printed by go test alone, or
// is repeated for each package with a benchmark.
func (e event) noise() bool {
	line := strings.TrimSuffix(e.Output, "\n")
	first, _, _ := strings.Cut(line, " ")
	return strings.Contains(line, "[no test files]") || line == e.Test ||
		slices.Contains([]string{"PASS", "===", "goos:", "goarch:", "pkg:", "cpu:"}, first)
}

// words is the output of tests, by package and name, until their result is
// known.
type words map[string][]string

func (w words) print(name string, out io.Writer) {
	for _, s := range w[name] {
		fmt.Fprint(out, s)
	}
	delete(w, name)
}
