package replay

import (
	"math"
	"slices"
	"testing"
	"time"
)

func event(t testing.TB, line string) *Event {
	t.Helper()
	e, err := ParseEvent([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func copies(t testing.TB, n int) []*Event {
	t.Helper()
	return slices.Repeat([]*Event{event(t, `{"tenant":"acme","data":{"script":"def main(input): pass"}}`)}, n)
}

func times(p Plan) []time.Duration {
	at := make([]time.Duration, len(p))
	for i, s := range p {
		at[i] = s.At
	}
	return at
}

func TestEvenSpacesRequestsByTheRate(t *testing.T) {
	got := times(Even(copies(t, 4), 200))
	if want := []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("due at %v, not %v", got, want)
	}
}

func TestAtOnceHasEverythingDueAtTheBeginning(t *testing.T) {
	if plan := AtOnce(copies(t, 5)); len(plan) != 5 || plan.Length() != 0 {
		t.Errorf("%d requests within %s", len(plan), plan.Length())
	}
}

func TestPoissonKeepsTheRateOnAverageAndRepeatsItself(t *testing.T) {
	const n, rate = 20_000, 500
	events := copies(t, n)
	plan := Poisson(events, rate, 7)
	if !slices.Equal(times(plan), times(Poisson(events, rate, 7))) {
		t.Error("the same seed gives another plan")
	}
	if slices.Equal(times(plan), times(Poisson(events, rate, 8))) {
		t.Error("another seed gives the same plan")
	}
	if got := n / plan.Length().Seconds(); math.Abs(got-rate) > rate/20 {
		t.Errorf("%.0f a second, not %d", got, rate)
	}
	// Gaps of a Poisson process deviate by as much as they are long.
	var sum, squares float64
	for i, at := range times(plan)[1:] {
		gap := (at - plan[i].At).Seconds() * rate
		sum, squares = sum+gap, squares+gap*gap
	}
	if variance := squares/n - (sum/n)*(sum/n); math.Abs(variance-1) > 0.1 {
		t.Errorf("the variance of the gaps is %.2f, not 1", variance)
	}
}

func TestRecordedKeepsTheDistancesAndSortsThem(t *testing.T) {
	late := event(t, `{"tenant":"a","time":"2026-11-23T09:00:30Z"}`)
	early := event(t, `{"tenant":"a","time":"2026-11-23T10:00:00+01:00"}`)
	plan, err := Recorded([]*Event{late, early}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if plan[0].Event != early || plan[0].At != 0 || plan[1].Event != late || plan[1].At != 3*time.Second {
		t.Errorf("the plan is %+v", plan)
	}
	if plan[0].Seq != 1 || plan[1].Seq != 0 {
		t.Errorf("places in the batch are %d, %d: ids are made of them", plan[0].Seq, plan[1].Seq)
	}
	if _, err := Recorded([]*Event{late, event(t, `{"tenant":"a"}`)}, 1); err == nil {
		t.Error("a request without a time has a place at recorded speed")
	}
}
