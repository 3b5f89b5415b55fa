package builds

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
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
		{errBuildTimeout, run.OwnerOperator, BuildTimeout, true},
		{errors.New("disk full"), run.OwnerPlatform, BuildError, true},
		{service(function.Refused, "Unzipped size must be smaller than 262144000 bytes"), run.OwnerAuthor, EnvTooLarge, false},
		{service(function.Refused, "The runtime parameter of python3.9 is no longer supported for creating"), run.OwnerAuthor, run.RetiredRuntime, false},
		{service(function.Refused, "handler: bad"), run.OwnerOperator, FunctionRefused, true},
		{service(function.Denied, ""), run.OwnerOperator, FunctionAccessDenied, true},
		{service(function.Operator, ""), run.OwnerOperator, FunctionServiceFault, true},
		{service(function.BadState, ""), run.OwnerPlatform, FunctionFailed, true},
		{service(function.NotReady, ""), run.OwnerOperator, FunctionServiceFailed, true},
		{service(function.Ambiguous, ""), run.OwnerOperator, FunctionServiceFailed, true},
	} {
		got := reason(c.err)
		if got.Owner != c.owner || got.Type != c.kind || got.Retryable != c.retryable {
			t.Errorf("%v: %+v, want %s of the %s", c.err, got, c.kind, c.owner)
		}
	}
}

// apiError is an error of a service, in the form that its SDK gives it.
type apiError string

func (e apiError) Error() string {
	return "https response error StatusCode: 400, RequestID: 1, " + string(e)
}
func (e apiError) ErrorMessage() string { return string(e) }

func TestReasonsReadAsSentences(t *testing.T) {
	service := func(c function.Class, text string) error {
		return &function.Error{Class: c, Op: "CreateFunction", Name: "f", Reason: "InvalidParameterValueException", Err: fmt.Errorf("operation error Lambda: %w", apiError(text))}
	}
	for _, c := range []struct {
		err  error
		want run.Error
	}{
		{service(function.Refused, "The runtime parameter of python3.14 is not supported here: it is not installed on this machine."),
			run.Error{Owner: run.OwnerOperator, Type: RuntimeNotInstalled, Message: "The runtime parameter of python3.14 is not supported here: it is not installed on this machine."}},
		{service(function.Refused, "The role is bad."),
			run.Error{Owner: run.OwnerOperator, Type: FunctionRefused, Retryable: true, Message: "Lambda refuses CreateFunction (InvalidParameterValueException): The role is bad. The operator has to mend the fleet's configuration."}},
		{&os.PathError{Op: "mkdir", Path: "/root/.cache/scriptfleet/layers/build-1", Err: syscall.EACCES},
			run.Error{Owner: run.OwnerPlatform, Type: BuildError, Retryable: true, Message: "The build broke down (mkdir build-1: permission denied). Send the run again; if it fails again, tell the operator."}},
		{&run.Error{Owner: run.OwnerPlatform, Type: "X", Message: `start "/opt/x/uv": no <index>/six, https://a.test/b, 3/4 or and/or`},
			run.Error{Owner: run.OwnerPlatform, Type: "X", Message: `start "uv": no <index>/six, https://a.test/b, 3/4 or and/or`}},
	} {
		if got := reason(c.err); *got != c.want {
			t.Errorf("got  %+v\nwant %+v", *got, c.want)
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
