package builds

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestReasonsNameWhoseTheyAre(t *testing.T) {
	service := func(c function.Class, text string) error {
		return fmt.Errorf("build: %w", &function.Error{Class: c, Op: "Create", Name: "f", Reason: "R", Err: errors.New(text)})
	}
	for _, c := range []struct {
		err       error
		owner     run.Owner
		kind      string
		retryable bool
	}{
		{&run.Error{Owner: run.OwnerAuthor, Type: "X"}, run.OwnerAuthor, "X", false},
		{errBuildTimeout, run.OwnerPlatform, BuildTimedOut, true},
		{errors.New("disk full"), run.OwnerPlatform, BuildError, true},
		{service(function.Refused, "Unzipped size must be smaller than 262144000 bytes"), run.OwnerAuthor, EnvTooLarge, false},
		{service(function.Refused, "The runtime parameter of python3.9 is no longer supported for creating"), run.OwnerAuthor, run.RetiredRuntime, false},
		{service(function.Refused, "handler: bad"), run.OwnerOperator, FunctionRefused, true},
		{service(function.Denied, ""), run.OwnerOperator, FunctionAccessDenied, true},
		{service(function.Operator, ""), run.OwnerOperator, FunctionServiceFault, true},
		{service(function.BadState, ""), run.OwnerPlatform, FunctionFailed, true},
		{service(function.NotReady, ""), run.OwnerPlatform, FunctionServiceFailed, true},
		{service(function.Ambiguous, ""), run.OwnerPlatform, FunctionServiceFailed, true},
	} {
		got := reason(c.err)
		if got.Owner != c.owner || got.Type != c.kind || got.Retryable != c.retryable {
			t.Errorf("%v: %+v, want %s of the %s", c.err, got, c.kind, c.owner)
		}
	}
}

func TestClippedLogKeepsItsEnd(t *testing.T) {
	got := clip(strings.Repeat("é", maxLog) + "the reason")
	if len(got) > maxLog || !strings.HasSuffix(got, "the reason") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-10:])
	}
}

func BenchmarkKnown(b *testing.B) {
	m := newMemory[run.ScriptHash, int64](100_000)
	hashes := make([]run.ScriptHash, 100_000)
	for i := range hashes {
		hashes[i] = run.ScriptHash(fmt.Sprintf("%026d", i))
		m.put(hashes[i], 1)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.get(hashes[i*7919%len(hashes)])
	}
}
