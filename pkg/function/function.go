// Package function says how scripts become functions and are invoked: the
// narrow part of Lambda that scriptfleet stands on, and the classes of error
// that it answers with. awslambda speaks to Lambda (or to the embedded stack,
// which is the same to it), memfunction simulates it; functiontest holds both
// to this contract.
//
// A function's name is made of the tenant's and the script's hash, and a
// function is never updated: other contents are another function. A conflict
// on create therefore means that the function is there, and no race can serve
// stale code.
//
// The package also holds both ends of an invocation. [Packager] zips the
// author's script together with the handler (the files of handler/), which is
// the same on Lambda and on the embedded stack. [Call] encodes what the handler
// is called with, and [Read] tells from its answer, or from what Lambda answered
// in its place, how the run ended and whose it is to mend.
package function

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
)

// Spec is a function to create.
type Spec struct {
	Name           string
	Runtime        string // Lambda's identifier, such as python3.13
	Handler        string
	Code           []byte // zip, at most MaxZipBytes
	LayerARNs      []string
	TimeoutSeconds int
	MemoryMB       int
	Arch           string // x86_64 or arm64
	RoleARN        string
	Description    string
	Tags           map[string]string // such as TagTenant
}

// TagTenant is the tag of a function that names its tenant, for the allocation of
// Lambda's costs.
const TagTenant = "scriptfleet:tenant"

// MaxZipBytes is the most that CreateFunction and PublishLayerVersion take in
// the call itself; more has to go by S3.
const MaxZipBytes = 50 << 20

// LayerSpec is a layer version to publish.
type LayerSpec struct {
	Name        string
	Runtime     string
	Arch        string // x86_64 or arm64
	Zip         []byte // up to MaxZipBytes goes in the call, more by S3
	Description string
}

// Invocation is the answer of a function that was reached.
type Invocation struct {
	Payload       []byte // what the handler returned, or Lambda's error object
	FunctionError string // empty, or Handled or Unhandled
	LogTail       string // the last 4 KB of the log, decoded
	RequestID     string
	Report        Report
}

// Report is Lambda's REPORT line, read from the log tail. Zero where it had
// none.
type Report struct {
	Duration    time.Duration
	Billed      time.Duration
	Init        time.Duration // of a cold start, else 0
	MaxMemoryMB int
}

// Info describes a function that is there.
type Info struct {
	Name         string
	Runtime      string
	State        string // Pending, Active, Inactive, Failed
	Description  string
	CodeBytes    int64
	LastModified time.Time
}

// Class says what an error of the function service means for whoever called.
type Class string

const (
	Throttled Class = "throttled" // 429: nothing executed, try again later
	NotReady  Class = "not_ready" // Pending, Inactive: nothing executed, try again soon
	NotFound  Class = "not_found" // no such function or layer: build it
	Conflict  Class = "conflict"  // on create: it is there already
	Refused   Class = "refused"   // the request itself is at fault; trying again is no use
	Denied    Class = "denied"    // AccessDenied: the caller may not
	Operator  Class = "operator"  // KMS, ENI, code storage: the operator has to mend it
	Unsent    Class = "unsent"    // the request never left: nothing executed
	Ambiguous Class = "ambiguous" // 5xx or a broken connection: it may have executed
	BadState  Class = "bad_state" // Failed: delete it and make it again

	// BadSignature is of keys that have expired or were taken back, or of a clock
	// that is wrong: nothing executed, and the next call is signed with others.
	BadSignature Class = "bad_signature"
)

// MayHaveExecuted tells whether an invocation that failed so may have been
// executed; an error without a class says nothing of it. One of every other class
// was refused.
func (c Class) MayHaveExecuted() bool { return c == Ambiguous || c == "" }

// Error is what every method fails with, unless its context ended.
type Error struct {
	Class  Class
	Op     string // the call, such as Invoke
	Name   string // of the function or layer
	Reason string // the service's own code, such as TooManyRequestsException/ConcurrentInvocationLimitExceeded
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s (%s): %v", e.Op, e.Name, e.Class, e.Reason, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of err, or "" where it is no *Error.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// ControlPlane is what Lambda takes for all calls of an account and region
// together, but Invoke and GetFunction: 15 a second, which AWS does not raise. Its
// burst is not documented, so ours is small.
var ControlPlane = ratelimit.Rate{PerSecond: 15, Burst: 5, Reserve: 2}

// Maker is the control plane. Each method is one call or a poll of GetFunction;
// pacing is the caller's.
type Maker interface {
	// FindLayer returns the ARN of the newest version of the layer, or a
	// NotFound error.
	FindLayer(ctx context.Context, name string) (string, error)
	// PublishLayer publishes a version and returns its ARN. It is not
	// idempotent: two calls make two versions.
	PublishLayer(ctx context.Context, l LayerSpec) (string, error)
	// Create makes the function; a Conflict error means that it is there.
	Create(ctx context.Context, s Spec) error
	// Await returns once the function can be invoked, as long as ctx lasts: it
	// is Active, or Inactive, which only an invocation wakes (that one fails
	// with NotReady, and leaves it Pending). It fails with NotFound, or with
	// BadState where the function's state is Failed.
	Await(ctx context.Context, name string) error
	Delete(ctx context.Context, name string) error
	List(ctx context.Context) ([]Info, error)
}

// Invoker is the data plane.
type Invoker interface {
	// Invoke calls the tenant's function once and never tries again by itself.
	// A function that ran and failed is no error: see
	// Invocation.FunctionError.
	Invoke(ctx context.Context, tenant, name string, payload []byte) (Invocation, error)
}
