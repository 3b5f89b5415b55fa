package main

import (
	"math"
	"os"
	"strings"
	"testing"
)

// The documents show what was measured last: a goal that is changed changes them.
func TestTheDocumentsShowTheFigures(t *testing.T) {
	f, err := readFigures("figures.json")
	if err != nil {
		t.Fatal(err)
	}
	shown(t, "../../BENCHMARKS.md", "goals", markdown(f))
	p, err := readPrices("../../" + pricesFile)
	if err != nil {
		t.Fatal(err)
	}
	table, err := costTable(p, f)
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

// 5.8 requests a run cost $2.32 without the surcharge for fair queues.
func TestACostIsTheCountTimesThePrice(t *testing.T) {
	p, err := readPrices("../../" + pricesFile)
	if err != nil {
		t.Fatal(err)
	}
	p.SQSFairMillion = 0
	c, err := p.costAt(200, figures{"sqs.200": {Value: 5.8}, "cpu.fleet": {Value: 1.8}})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(c.sqs-2.32) > 1e-9 || math.Abs(c.lambda-(0.2+12500*p.LambdaGBSecond)) > 1e-9 {
		t.Errorf("SQS costs %g, Lambda %g", c.sqs, c.lambda)
	}
	// 69 million runs in four days, of 136 bytes each, in three quarters of it.
	if c.node != "cache.r7g.large" {
		t.Errorf("the node is %s", c.node)
	}
	if _, err := p.costAt(200_000, figures{"sqs.200000": {}, "cpu.fleet": {}}); err == nil {
		t.Error("there is a node for everything")
	}
}
