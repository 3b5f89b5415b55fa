package main

import (
	"fmt"
	"strings"
)

// shownRow is a row of README.md's table of what was measured. Each {name} stands
// for the figure with that name, and its unit.
type shownRow struct{ what, text, command string }

var shownRows = []shownRow{
	{"added delay of a run at 20 a second, request sent to result received, p50 / p99", "{delay.p50} / {delay.p99}", "`make bench BENCH=delay`"},
	{"a burst of 3,000 runs of ten tenants on one worker, everything on the same two cores", "{burst.python}; with a stub in place of Python {burst.stub}", "`make bench BENCH=burst`"},
	{"CPU a run in that burst", "dispatcher and worker {cpu.fleet}; with the embedded stack and the functions {cpu.all}", "`make bench BENCH=burst`"},
	{"requests to SQS and round trips to Redis for a run", "{sqs.200} and {redis.200} at 200/s; {sqs.burst} and {redis.burst} in a burst", "`make bench BENCH=costs`"},
	{"first run of a new script in a known env, over a warm run", "{first.known}", "`make bench BENCH=first`"},
	{"builds on an eight-hour trace, 8 workers, functions removed when idle for 10 minutes", "{builds.trace} for each that is needed; one build a miss makes {builds.naive}", "`make bench BENCH=trace`"},
	{"10,000 runs of one new script on 4 workers", "10,000 results, 1 build", "`make chaos`"},
	{"a worker killed at any step", "its runs taken up within 25 s, one result each", "[pkg/fleettest/chaos/README.md](pkg/fleettest/chaos/README.md)"},
	{"10,000 simulated fleets under faults", "the promises at every step, but for the two cases that [its documentation](pkg/fleettest/simulation/doc.go) names", "`make simulate`"},
}

// measuredTable is the table of README.md. It fails if a figure is missing.
func measuredTable(f figures) (string, error) {
	var b strings.Builder
	b.WriteString("| what | measured | command |\n|---|---|---|\n")
	for _, row := range shownRows {
		text := row.text
		for _, g := range goals {
			if !strings.Contains(text, "{"+g.figure+"}") {
				continue
			}
			got, ok := f[g.figure]
			if !ok {
				return "", fmt.Errorf("%s has not been measured: make bench-update", g.figure)
			}
			text = strings.ReplaceAll(text, "{"+g.figure+"}", g.show(got.Value))
		}
		if strings.Contains(text, "{") {
			return "", fmt.Errorf("the row %q has a figure without a goal", row.what)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.what, text, row.command)
	}
	return b.String(), nil
}
