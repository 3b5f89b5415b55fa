package builds_test

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func (fl *fleet) deny(packages ...string) {
	fl.t.Helper()
	reasons := map[string]string{}
	for _, p := range packages {
		reasons[p] = ""
	}
	d, err := run.NewDenied("", reasons)
	if err != nil {
		fl.t.Fatal(err)
	}
	fl.denied.Store(&d)
}

// The layer of the script numbers has numpy==1.
func TestWhatHasADeniedPackageIsUsedNoMore(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		usual := ensure(t, fl.workers[0], numbers)
		fl.deny("numpy==2", "pandas")
		for _, w := range fl.workers {
			if b := ensure(t, w, numbers); b.Outcome != run.BuildReused || b.Function != usual.Function {
				t.Errorf("others are denied: %+v", b)
			}
		}
		fl.expectMade(1, 1)

		fl.deny("numpy==1.0")
		if _, known := fl.workers[0].Known(numbers); known {
			t.Error("the function is known to be usable")
		}
		avoids := ensure(t, fl.workers[0], numbers)
		if avoids.Function == usual.Function || avoids.Outcome != run.BuildBuilt || avoids.Script.Hash == numbers.Hash {
			t.Errorf("denied: %+v", avoids)
		}
		fl.expectMade(2, 2)
		if b := ensure(t, fl.workers[1], numbers); b.Function != avoids.Function {
			t.Errorf("the other worker: %+v", b)
		}
		if b, known := fl.workers[1].Known(numbers); !known || b.Function != avoids.Function {
			t.Errorf("the other worker knows %+v", b)
		}

		fl.deny()
		if b := ensure(t, fl.workers[0], numbers); b.Function != usual.Function {
			t.Errorf("allowed again: %+v", b)
		}
		fl.expectMade(2, 2)
	})
}

func TestALayerWhosePackagesNobodyKnowsIsAvoidedWhileSomeAreDenied(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		usual := ensure(t, fl.workers[0], numbers)
		fl.records.Flush()
		fl.deny("pandas")
		if b := ensure(t, fl.workers[1], numbers); b.Function == usual.Function {
			t.Errorf("%+v", b)
		}
		if b := ensure(t, fl.workers[0], numbers); b.Function != usual.Function {
			t.Errorf("the worker that built it knows what it has: %+v", b)
		}
		if b := ensure(t, fl.workers[1], plain); b.Outcome != run.BuildBuilt {
			t.Errorf("a script without requirements: %+v", b)
		}
	})
}
