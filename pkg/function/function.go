// Package function defines how scripts become functions and are invoked: the
// part of Lambda's API that scriptfleet uses, and the classes of its errors.
// awslambda calls Lambda or the embedded stack, memfunction simulates the
// service in memory; functiontest tests both against this contract.
//
// A function's name is made of the tenant's and the script's hash, and a
// function is never updated: changed contents make another function. A Conflict
// on create therefore means that the function is there, and no race can leave
// stale code under a name.
//
// The package also holds both ends of an invocation. [Packager] zips the
// author's script with the handler (the files of handler/), the same on Lambda
// and on the embedded stack. [Call] encodes the handler's argument. [Read]
// turns the handler's answer, or Lambda's where the handler gave none, into the
// run's status, output and error.
//
// # The env runner
//
// A new script in a known env need not wait for its own function: the tenant's
// env runner ([run.RunnerOf]) takes it in the payload ([Call].Script). It is a
// function like any other, whose zip has the handler and no script. [Read] reads
// its answers as those of the script's own function, with the same words.
//
// Never the wrong code: the zip has the fields of the runner's own hash
// (tenant, env, memory, handler …), and the runner computes the script's hash
// from them and from the bytes, the timeout and the sealing that it was given. If
// that is not the hash that was sent, it does not take the script. The same holds
// for a payload without a script, for a script at a function of its own, and for
// a payload of more than MaxPayloadBytes, which is not sent. [NotTakenBy], or the
// error, then has the class [NotTaken]: nothing has executed, and the run waits
// for its function. Only the runner itself can say so, never a script in it.
//
// A script that does not compile is not taken either. Its build then fails as
// every build of such a script, in the same words, and is remembered.
//
// Nothing passes from one script to the next. The process with the Runtime API
// executes none; it forks a template at its start, which never sees a payload;
// and the template forks a process for each script. Neither of the two can be
// read, traced or signalled from there, and connects to the Runtime API are
// refused: the system call is executed by the runner, which looks at the address
// (see handler/scriptfleet_runner_walls.py). Before the answer is given all
// processes of the run are ended, and its files and System V objects removed. If
// anything remains, the environment ends before it takes another script.
// pkg/fleettest/walls tries all of this, on the embedded stack and in an
// environment as Lambda documents it.
//
// What differs from a function of the script's own:
//
//   - Its module is imported in each run. The import has 10 s, or the timeout if
//     that is longer, and main has the timeout after it.
//   - __file__ names a file that is not there. Keyrings, POSIX message queues and
//     io_uring are refused, and connects cost some 0.1 ms more.
//   - There is none for shell commands: their files are in the function's folder.
//
// What remains:
//
//   - The walls need seccomp with user notification, pidfd_getfd (Linux 5.6) and a
//     known architecture. Where one is missing, the runner takes no script, and
//     runs wait as they would without it. Lambda documents a kernel that has them,
//     and not which calls its own filter allows: this was not tried on AWS.
//   - A script can end its own environment, for example by taking all memory. The
//     next one then has a cold start.
//   - While it runs it may listen on ports. Other runs are never in the same
//     environment at the same time.
//   - A script built without denied packages ([run.Script.Avoiding]) has a hash
//     of another kind, and waits for its function.
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

// TagTenant is the tag with the tenant's name on each function; Lambda's costs
// are allocated by it.
const TagTenant = "scriptfleet:tenant"

// MaxZipBytes is the largest zip that CreateFunction and PublishLayerVersion
// take in the call itself (50 MB). A larger one is uploaded to S3 first.
const MaxZipBytes = 50 << 20

// LayerSpec is a layer version to publish.
type LayerSpec struct {
	Name        string
	Runtime     string
	Arch        string // x86_64 or arm64
	Zip         []byte // up to MaxZipBytes goes in the call, more by S3
	Description string
}

// Invocation is the answer to an invocation that Lambda accepted.
type Invocation struct {
	Payload       []byte // what the handler returned, or Lambda's error object
	FunctionError string // empty, or Handled or Unhandled
	LogTail       string // the last 4 KB of the log, decoded
	RequestID     string
	Report        Report
}

// Report holds the figures of Lambda's REPORT line, read from the log tail. It
// is zero where the tail has no such line.
type Report struct {
	Duration    time.Duration
	Billed      time.Duration
	Init        time.Duration // of a cold start; 0 on a warm one
	MaxMemoryMB int
}

// Info describes an existing function.
type Info struct {
	Name         string
	Runtime      string
	State        string // Pending, Active, Inactive, Failed
	Description  string
	CodeBytes    int64
	LastModified time.Time
}

// Class is the kind of an error of the function service: whether something may
// have executed, and what the caller can do.
type Class string

const (
	Throttled Class = "throttled" // 429: nothing executed, try again later
	NotReady  Class = "not_ready" // Pending, Inactive: nothing executed, try again soon
	NotFound  Class = "not_found" // no such function or layer: build it
	Conflict  Class = "conflict"  // on create: it is there already
	Refused   Class = "refused"   // the request itself is wrong; a retry fails too
	Denied    Class = "denied"    // AccessDenied: the signer lacks the permission
	Operator  Class = "operator"  // KMS, ENI, code storage: the operator has to act
	Unsent    Class = "unsent"    // the request never left: nothing executed
	Ambiguous Class = "ambiguous" // 5xx or a broken connection: it may have executed
	BadState  Class = "bad_state" // Failed: delete it and make it again

	// NotTaken means that an env runner did not take the script, or was not
	// asked because the payload would be too large. Nothing executed: the run
	// waits for its script's own function.
	NotTaken Class = "not_taken"

	// BadSignature means that the keys have expired or were revoked, or that the
	// clock is wrong. Nothing executed, and the next call is signed with new
	// keys.
	BadSignature Class = "bad_signature"
)

// MayHaveExecuted tells whether an invocation that failed with this class may
// have executed: only with Ambiguous, and with an error of no class. Every
// other class means that the invocation was refused.
func (c Class) MayHaveExecuted() bool { return c == Ambiguous || c == "" }

// NoSession is the Reason of an invocation for which STS gave no session of the
// tenant. If it is Throttled, Lambda's limits have nothing to do with it.
const NoSession = "NoSession"

// Error is the error of every method, unless the context ended.
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

// ClassOf is the class of err, or "" if err wraps no *Error.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// ControlPlane is Lambda's rate for all control plane calls of an account and
// region together, except GetFunction: 15 a second, which AWS does not raise.
// AWS does not document the burst, so it is small here.
var ControlPlane = ratelimit.Rate{PerSecond: 15, Burst: 5, Reserve: 2}

// Maker is the control plane. Each method makes one call, or polls GetFunction;
// the caller paces its calls by ControlPlane.
type Maker interface {
	// FindLayer returns the ARN of the newest version of the layer, or a
	// NotFound error.
	FindLayer(ctx context.Context, name string) (string, error)
	// PublishLayer publishes a version and returns its ARN. It is not
	// idempotent: two calls make two versions.
	PublishLayer(ctx context.Context, l LayerSpec) (string, error)
	// Create makes the function. A Conflict error means that it exists.
	Create(ctx context.Context, s Spec) error
	// Await polls until the function can be invoked, or ctx ends. Active counts,
	// and so does Inactive: only an invocation wakes such a function (the
	// invocation fails with NotReady and leaves it Pending). Await fails with
	// NotFound, or with BadState where the function's state is Failed.
	Await(ctx context.Context, name string) error
	Delete(ctx context.Context, name string) error
	List(ctx context.Context) ([]Info, error)
}

// Invoker is the data plane.
type Invoker interface {
	// Invoke calls the tenant's function once and never retries. An invocation
	// whose function failed is no error: see Invocation.FunctionError.
	Invoke(ctx context.Context, tenant, name string, payload []byte) (Invocation, error)
}
