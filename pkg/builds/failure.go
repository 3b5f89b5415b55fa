package builds

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Types of the errors that this package makes. Errors of layers and of
// packaging have types of their own, defined in pkg/layer and pkg/function.
const (
	BuildTimeout          = "BuildTimeout" // also an error type of pkg/layer
	BuildError            = "BuildError"
	EnvTooLarge           = "EnvTooLarge"
	FunctionRefused       = "FunctionRefused"
	RuntimeNotInstalled   = "RuntimeNotInstalled" // the embedded Lambda has no such Python
	FunctionAccessDenied  = "FunctionAccessDenied"
	SignatureRefused      = "SignatureRefused"
	FunctionServiceFault  = "FunctionServiceFault"
	FunctionFailed        = "FunctionFailed"
	FunctionServiceFailed = "FunctionServiceUnavailable"
)

// reason is the error that the result shows for a build that failed with err.
// Absolute paths are cut to their last part: a worker's folders do not help an
// author and should not be public. The worker's log has the whole error.
func reason(err error) *run.Error {
	why := *judge(err)
	why.Message = paths.ReplaceAllString(why.Message, "$1$2")
	return &why
}

// paths matches an absolute path. Group 1 is the character before it, group 2
// the path's last part.
var paths = regexp.MustCompile(`(^|[\s"'(\[=:])(?:/[^/\s"'()\[\]:;,]+)*/([^/\s"'()\[\]:;,]+)/?`)

func judge(err error) *run.Error {
	var known *run.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, errBuildTimeout) {
		return operator(BuildTimeout, "The build did not end in time. Send the run again; if it happens again, use fewer or smaller requirements, or have the operator look at the way to Lambda.")
	}
	var service *function.Error
	if errors.As(err, &service) {
		return ofService(service)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return operator(FunctionServiceFailed, "Lambda did not answer in time. Send the run again later; if it stays so, the operator has to look at the way to Lambda.")
	}
	var panicked *panics.Error
	if errors.As(err, &panicked) {
		return platform(BuildError, fmt.Sprintf("The build broke down: %v. Send the run again; if it fails again, tell the operator this id.", panicked))
	}
	return platform(BuildError, fmt.Sprintf("The build broke down (%v). Send the run again; if it fails again, tell the operator.", err))
}

func ofService(e *function.Error) *run.Error {
	switch e.Class {
	case function.Refused:
		return refused(e)
	case function.Denied:
		return operator(FunctionAccessDenied, fmt.Sprintf("The fleet may not call Lambda's %s: the operator has to mend its role's permissions (%s).", e.Op, e.Reason))
	case function.BadSignature:
		return operator(SignatureRefused, fmt.Sprintf("Lambda refuses the signature of the fleet's %s (%s). The operator has to look at the worker's credentials and its clock, then send the run again.", e.Op, e.Reason))
	case function.Operator:
		return operator(FunctionServiceFault, fmt.Sprintf("Lambda cannot make the function (%s): the operator has to mend the cause. Then send the run again.", e.Reason))
	case function.NotReady:
		return operator(FunctionServiceFailed, "Lambda did not make the function ready in time. Send the run again later; if it stays so, the operator has to look at the function in Lambda.")
	case function.BadState:
		return platform(FunctionFailed, "Lambda made the function, and it failed to start. Send the run again; if it fails again, tell the operator.")
	}
	return operator(FunctionServiceFailed, fmt.Sprintf("Lambda's %s failed repeatedly (%s). Send the run again later; if it stays so, the operator has to look at the way to Lambda.", e.Op, e.Reason))
}

// refused is the error for a call that Lambda refused as invalid. The author
// owns it where the code is too large or the runtime is retired. Otherwise the
// operator does, since the other parameters come from the fleet's
// configuration.
func refused(e *function.Error) *run.Error {
	text := strings.ToLower(e.Error())
	for _, large := range []string{"unzipped size", "requestentitytoolarge", "request must be smaller", "codesize"} {
		if strings.Contains(text, large) {
			return &run.Error{Owner: run.OwnerAuthor, Type: EnvTooLarge, Field: "data.requirements",
				Message: "The script and its requirements are larger than the 250 MB that Lambda takes: use fewer or smaller requirements."}
		}
	}
	if strings.Contains(text, "runtime") && strings.Contains(text, "no longer supported") {
		return &run.Error{Owner: run.OwnerAuthor, Type: run.RetiredRuntime, Field: "data.runtime",
			Message: "Lambda has retired the script's runtime and makes no new functions with it: set data.runtime to a newer one."}
	}
	if strings.Contains(text, "runtime") && strings.Contains(text, "not supported here") {
		missing := operator(RuntimeNotInstalled, words(e.Err))
		missing.Retryable = false
		return missing
	}
	return operator(FunctionRefused, fmt.Sprintf("Lambda refuses %s (%s): %s. The operator has to mend the fleet's configuration.", e.Op, e.Reason, strings.TrimRight(words(e.Err), ".")))
}

// words returns the message of the service's answer, without the text that the
// SDK puts around it.
func words(err error) string {
	var said interface{ ErrorMessage() string }
	if errors.As(err, &said) && said.ErrorMessage() != "" {
		return said.ErrorMessage()
	}
	return err.Error()
}

// operator makes a retryable error: once the operator has mended the cause, the
// same run works.
func operator(kind, message string) *run.Error {
	return &run.Error{Owner: run.OwnerOperator, Type: kind, Message: message, Retryable: true}
}

func platform(kind, message string) *run.Error {
	return &run.Error{Owner: run.OwnerPlatform, Type: kind, Message: message, Retryable: true}
}

// RememberedForLong tells whether a build's failure is remembered for
// Config.PermanentFailure. It is if only the author can mend it: the same
// script fails in the same way on every worker, and a mended script has another
// hash.
func RememberedForLong(why *run.Error) bool {
	return why.Owner == run.OwnerAuthor && !why.Retryable
}

// failure is the record of the nth failure in a row, remembered for
// PermanentFailure, or for TransientFailure·2ⁿ⁻¹ up to MaxTransientFailure.
func (c Config) failure(why *run.Error, n int) Record {
	d := min(c.TransientFailure<<min(n-1, 10), c.MaxTransientFailure)
	if RememberedForLong(why) {
		d = c.PermanentFailure
	}
	return Record{Failure: why, Failures: n, Until: time.Now().Add(d).UTC()}
}

// fail turns r into the record of the failure f; r keeps its fence and builder.
func (r *Record) fail(f Record) {
	r.ARN, r.Failure, r.Failures, r.Until = "", f.Failure, f.Failures, f.Until
	if f.Log != "" {
		r.Log = f.Log
	}
}

// keep is the TTL of a record. The record of a failure stays for a while after
// Until, so that the next failure finds its count of failures in a row.
func (c Config) keep(r Record) time.Duration {
	if r.Failure == nil {
		return c.RecordTTL
	}
	return max(0, time.Until(r.Until)) + 10*c.MaxTransientFailure
}

// envFailure is the error of a script's step whose env's step failed. The
// script's record copies the env's Failure and Until, so both are tried again
// at the same time.
type envFailure struct{ outcome }

func (e *envFailure) Error() string { return "env: " + e.record.Failure.Error() }

// maxLog bounds the log in a record, in bytes.
const maxLog = 16 << 10

// clip cuts the beginning of a log that is longer than maxLog: the reason of a
// failure stands at the end.
func clip(log string) string {
	if len(log) <= maxLog {
		return log
	}
	const mark = "[…]\n"
	return mark + strings.ToValidUTF8(log[len(log)-maxLog+len(mark):], "")
}
