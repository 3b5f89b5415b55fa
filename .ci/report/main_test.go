package main

import (
	"slices"
	"strings"
	"testing"
)

const output = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    bad_test.go:7: one is not two\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"skip","Package":"p","Test":"TestAbsent"}
{"Action":"output","Package":"p","Output":"goos: linux\n"}
{"Action":"output","Package":"p","Test":"BenchmarkX","Output":"=== RUN   BenchmarkX\n"}
{"Action":"output","Package":"p","Test":"BenchmarkX","Output":"BenchmarkX\n"}
{"Action":"output","Package":"p","Test":"BenchmarkX","Output":"BenchmarkX 1 5 ns/op\n"}
{"Action":"output","Package":"p","Test":"TestCutShort","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
{"ImportPath":"r","Action":"build-output","Output":"r.go:1: syntax error\n"}
go: a line of the go command
`

func TestReportTellsFailuresPackagesAndBenchmarksAndNothingElse(t *testing.T) {
	var out strings.Builder
	if _, err := report(strings.NewReader(output), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one is not two", "panic: test timed out", "FAIL\tp\t0.1s", "BenchmarkX 1 5 ns/op", "syntax error", "a line of the go command"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("missing %q", want)
		}
	}
	for _, not := range []string{"quiet", "no test files", "goos", "=== RUN", "BenchmarkX\nB"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("it says %q", not)
		}
	}
}

func TestReportNamesSkippedTestsAndNotPackagesWithoutTests(t *testing.T) {
	skipped, err := report(strings.NewReader(output), &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(skipped, []string{"p TestAbsent"}) {
		t.Errorf("skipped: %q", skipped)
	}
}
