package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestTheStagesOfARunStandOneAfterTheOther(t *testing.T) {
	got := timeBar(run.Timings{Intake: 1, Queue: 1, Execute: 96, Publish: 2, Total: 100})
	want := strings.Join([]string{
		"intake        1 ms  █",
		"queue         1 ms  █",
		"execute      96 ms   " + strings.Repeat("█", 48),
		"publish       2 ms  " + strings.Repeat(" ", 49) + "█",
		"total       100 ms",
		"",
	}, "\n")
	if got != want {
		t.Errorf("the bar is\n%s, not\n%s", got, want)
	}
	if got := timeBar(run.Timings{}); got != "total         0 ms\n" {
		t.Errorf("of a run without time it is %q", got)
	}
}

func TestARunIsShownWithoutActingUponATerminal(t *testing.T) {
	var b strings.Builder
	printRun(&b, ledger.Summary{Run: "k", ID: "i\x1b]0;d", Source: "/s\n", Tenant: "acme", Action: "a\tb\u202e", Status: run.Failed, ErrorType: "E\x07", ErrorOwner: run.OwnerAuthor, At: time.Now()})
	for _, want := range []string{`i\x1b]0;d of acme, /s\n` + "\n", `a\tb\u202e` + "\n", `as failed: E\a, for the author`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q has no %q", b.String(), want)
		}
	}
}

func TestRunsCanBeListedByEveryStatus(t *testing.T) {
	field, _ := reflect.TypeFor[runsList]().FieldByName("Status")
	var want []string
	for _, s := range run.Statuses {
		want = append(want, string(s))
	}
	if got := strings.Split(field.Tag.Get("enum"), ","); !slices.Equal(got, want) {
		t.Errorf("runs list takes the statuses %v, not %v", got, want)
	}
}
