package worker

import "testing"

func TestBudgetBoundsRepeats(t *testing.T) {
	b := newBudget()
	repeats := func() (n int) {
		for ; b.has(); n++ {
			b.spend()
		}
		return n
	}
	if n := repeats(); n != maxBudget {
		t.Errorf("%d repeats at first, want %d", n, maxBudget)
	}
	for range 10 {
		b.earn()
	}
	if n := repeats(); n != 5 {
		t.Errorf("ten invocations earn %d repeats, want 5", n)
	}
	for range 10_000 {
		b.earn()
	}
	if n := repeats(); n != maxBudget {
		t.Errorf("%d repeats at most, want %d", n, maxBudget)
	}
}

func TestBudgetThatWasOverdrawnIsEarnedAgain(t *testing.T) {
	b := &budget{left: 1}
	for range 4 {
		b.spend()
	}
	for range 7 {
		b.earn()
	}
	if b.has() {
		t.Error("a repeat is left before what was overdrawn is earned")
	}
	b.earn()
	if !b.has() {
		t.Error("no repeat is left though it was earned")
	}
}
