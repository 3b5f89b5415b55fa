package sigv4

import "testing"

func TestSigningKeysAreKeptApartAndBounded(t *testing.T) {
	var s Signer
	first := daily{Key{"secret", "us-east-1", "sqs"}, "20261123"}
	want := s.of(first)
	if again := s.of(first); again != want || len(s.derived) != 1 {
		t.Error("the same key is derived differently, or kept twice")
	}
	for _, other := range []daily{
		{Key{"Secret", first.Region, first.Service}, first.day},
		{Key{first.Secret, "eu-west-1", first.Service}, first.day},
		{Key{first.Secret, first.Region, "s3"}, first.day},
		{first.Key, "20261124"},
	} {
		if s.of(other) == want {
			t.Errorf("%+v has the key of another scope", other)
		}
	}
	for n := range 2 * maxDerived {
		s.of(daily{Key: Key{Secret: string(rune(n + 1))}})
	}
	if len(s.derived) > maxDerived || s.of(first) != want {
		t.Errorf("%d keys are kept", len(s.derived))
	}
}
