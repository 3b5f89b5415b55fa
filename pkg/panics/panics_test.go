package panics

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestCatchReturnsNilWhenNothingPanics(t *testing.T) {
	ran := false
	if p := Catch(func() { ran = true }); p != nil || !ran {
		t.Fatalf("got %v, ran %v", p, ran)
	}
}

func TestCatchTellsTheLineThatPanicked(t *testing.T) {
	p := Catch(func() { indexPastTheEnd(nil) })
	if p == nil {
		t.Fatal("no panic was caught")
	}
	if !strings.Contains(p.Value, "index out of range") || !strings.Contains(p.Stack, "indexPastTheEnd") {
		t.Errorf("value %q, stack:\n%s", p.Value, p.Stack)
	}
}

func indexPastTheEnd(s []int) int {
	end := len(s)
	return s[end]
}

func TestAnErrorShowsItsIDAndNothingOfThePanic(t *testing.T) {
	p, other := Catch(func() { panic("secret of a tenant") }), Catch(func() { panic(errors.New("secret")) })
	if strings.Contains(p.Error(), "secret") || !strings.Contains(p.Error(), p.ID) {
		t.Errorf("text is %q", p.Error())
	}
	if len(p.ID) != 16 || p.ID == other.ID {
		t.Errorf("ids %q and %q", p.ID, other.ID)
	}
}

func TestCatchBoundsWhatAPanicCarries(t *testing.T) {
	if p := Catch(func() { panic(strings.Repeat("x", 10<<20)) }); len(p.Value) != maxValue {
		t.Errorf("value has %d bytes", len(p.Value))
	}
}

// broken is a value whose String method panics.
type broken struct{}

func (broken) Error() string { panic(io.EOF) }

func TestCatchSurvivesAPanicWithoutAText(t *testing.T) {
	if p := Catch(func() { panic(broken{}) }); p == nil || p.ID == "" {
		t.Errorf("caught %v", p)
	}
	if p := Catch(func() { panic(nil) }); p == nil {
		t.Error("panic(nil) was not caught")
	}
}
