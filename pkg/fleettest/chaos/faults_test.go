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

	// forgets is set where Redis forgets what it knew: a result that was sent
	// may then be made once more.
	forgets bool
	// crashes is set where a process dies or is cut off with what it holds, which
	// then runs out by itself.
	crashes bool
	// ends are the types of error that a run may end with, beside
	// MayHaveExecuted of one that may be executed once at most.
	ends []string
}

func (x fault) mayEnd(r sent, kind string) bool {
	return slices.Contains(x.ends, kind) || r.delivery == run.AtMostOnce && kind == "MayHaveExecuted"
}

// faults are all rows, in the order of the table.
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
			cells := make([]string, len(promises)+1) // and what was measured beside them
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
