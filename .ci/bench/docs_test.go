package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/prices"
)

// The documents show what was measured last: a goal that is changed changes them.
func TestTheDocumentsShowTheFigures(t *testing.T) {
	f, err := readFigures("figures.json")
	if err != nil {
		t.Fatal(err)
	}
	shown(t, "../../BENCHMARKS.md", "goals", markdown(f))
	table, err := costTable(prices.List(), f)
	if err != nil {
		t.Fatal(err)
	}
	shown(t, "../../README.md", "costs", table)
	if table, err = measuredTable(f); err != nil {
		t.Fatal(err)
	}
	shown(t, "../../README.md", "measured", table)
}

func shown(t *testing.T, file, part, text string) {
	t.Helper()
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	updated, err := replace(string(document), part, text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if updated != string(document) {
		t.Errorf("%s: the part %q is not what .ci/bench/figures.json says: run make bench-update", file, part)
	}
}

func TestAGoalIsMetAtItsLimit(t *testing.T) {
	most, least := goal{most: 2.5}, goal{least: 5000}
	if !most.met(2.5) || most.met(2.51) || !least.met(5000) || least.met(4999) {
		t.Error("a limit is not part of what meets it")
	}
}

func TestADocumentWithoutTheMarksIsNotChanged(t *testing.T) {
	if _, err := replace("text", "goals", "table\n"); err == nil || !strings.Contains(err.Error(), "goals") {
		t.Errorf("the error is %v", err)
	}
}

func TestAllMeasurementsFitInto15Minutes(t *testing.T) {
	var sum time.Duration
	for _, m := range measurements {
		sum += m.most
	}
	if sum > 15*time.Minute {
		t.Errorf("they may take %s", sum)
	}
	if some, err := choose("burst"); err != nil || len(some) != 1 || some[0].most != chosenMost {
		t.Errorf("burst alone is %+v, %v", some, err)
	}
}
