package slot

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDifferentPartsAreDifferentScopes(t *testing.T) {
	for _, c := range [][2][]string{
		{{"a", "b:c"}, {"a:b", "c"}},
		{{"a", "b"}, {"a:b"}},
		{{"a", ""}, {"a"}},
		{{"a%3Ab"}, {"a:b"}},
		{{"", "a"}, {"a", ""}},
	} {
		if Scope(c[0]...) == Scope(c[1]...) {
			t.Errorf("%q and %q are both %s", c[0], c[1], Scope(c[0]...))
		}
	}
	if got := Scope("acme"); got != "acme" {
		t.Errorf("the scope of acme is %s", got)
	}
}

func TestNoTwoListsOfPartsCollide(t *testing.T) {
	parts := rapid.SliceOfN(rapid.StringMatching(`[ab:%23A5]{0,4}`), 1, 3)
	rapid.Check(t, func(r *rapid.T) {
		a, b := parts.Draw(r, "a"), parts.Draw(r, "b")
		same := len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = a[i] == b[i]
		}
		if got := Scope(a...) == Scope(b...); got != same {
			r.Fatalf("%q and %q are %q and %q", a, b, Scope(a...), Scope(b...))
		}
	})
}
