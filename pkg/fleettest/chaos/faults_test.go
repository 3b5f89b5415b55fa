package chaos

import (
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// fault is a row of the table.
type fault struct {
	name string
	long bool // takes minutes: only with -chaos.long
	play func(*testing.T, *fleet)

	fleet func(*testing.T) *fleet // newFleet by default

	// forgets is set if Redis loses its data: a result that was sent may then be
	// made a second time.
	forgets bool
	// crashes is set if a process dies or loses Redis while it holds leases or
	// claims; those then expire.
	crashes bool
	// ends are the error types with which a run may end, besides MayHaveExecuted
	// of an at-most-once run.
	ends []string
}

func (x fault) mayEnd(r sent, kind string) bool {
	return slices.Contains(x.ends, kind) || r.delivery == run.AtMostOnce && kind == "MayHaveExecuted"
}

// faults are all rows, in the table's order.
func faults() []fault {
	return slices.Concat(crashes(), redisFaults(), queueFaults(), lambdaFaults(), processFaults(), diskFaults(), localFaults())
}

func TestPromisesHold(t *testing.T) {
	for _, x := range faults() {
		if x.long && !*long {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			begin := newFleet
			if x.fleet != nil {
				begin = x.fleet
			}
			f := begin(t)
			x.play(t, f)
			f.await(0)
			f.settle()
			cells := make([]string, len(promises)+1) // and one for measurements
			for i, p := range promises {
				t.Run(p.name, func(t *testing.T) { cells[i] = p.check(t, x, f) })
			}
			cells[len(promises)] = strings.Join(f.notes, ", ")
			t.Logf("%s: %q", x.name, cells)
			if !t.Failed() {
				table.set(x.name, cells)
			}
		})
	}
}
