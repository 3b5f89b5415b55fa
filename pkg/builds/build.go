package builds

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrStale is returned by Records.Put where the record there has a greater
// fence.
var ErrStale = errors.New("build: a later holder of the lease has written the record")

// Record is the outcome of the last build of an env or a script.
type Record struct {
	// ARN of the layer, or name of the function; empty where the build failed.
	ARN string `json:"arn,omitempty"`
	// Failure is why the last build failed; nil where it did not. Runs get this
	// failure until Until, and a new build begins only after that.
	Failure *run.Error `json:"failure,omitempty"`
	Until   time.Time  `json:"until,omitzero"`
	// Failures counts how many builds in a row have failed.
	Failures int `json:"failures,omitempty"`
	// Packages are the packages of a layer that was built; none where it was
	// found at Lambda without a record.
	Packages []run.Package `json:"packages,omitempty"`
	// Log is the end of the build's log, at most 16 KiB.
	Log     string `json:"log,omitempty"`
	Fence   int64  `json:"fence"`   // of the lease that the build was made under
	Builder string `json:"builder"` // name of the worker that built it, for waited_on
	// Took is how long the build took; 0 where it was found at Lambda.
	Took time.Duration `json:"took,omitempty"`
}

// Records holds one record per hash, and signals its changes. redisrecords
// keeps them in Redis, memrecords in memory; recordstest holds both to this
// contract. Redis may lose a record; the builder then asks Lambda whether the
// function or the layer exists.
type Records interface {
	// Get returns the record, or ok = false where there is none.
	Get(ctx context.Context, hash string) (r Record, ok bool, err error)
	// GetAll returns the records of several hashes, in their order and in one
	// round trip. It is nil for a hash without a record.
	GetAll(ctx context.Context, hashes []string) ([]*Record, error)
	// Put writes the record and signals the watchers, unless the record there
	// has a greater fence: then it changes nothing and fails with ErrStale. The
	// comparison and the write are atomic. The record is removed after ttl; a
	// ttl of 0 keeps it without limit.
	Put(ctx context.Context, hash string, r Record, ttl time.Duration) error
	// Drop removes the record unless it has a fence greater than fence. It
	// signals the watchers in both cases.
	Drop(ctx context.Context, hash string, fence int64) error
	// Watch returns a channel that receives after each Put or Drop of hash from
	// now on. Signals may be missed, so a watcher must also read the record
	// from time to time. The caller must call stop, which ends the watch.
	Watch(ctx context.Context, hash string) (changed <-chan struct{}, stop func(), err error)
}

// Priority says who waits for a build. A worker's places and the fleet's tokens
// go to builds in this order.
type Priority = ratelimit.Priority

// The priorities, the first first.
const (
	ForRun    = ratelimit.Waited // a run waits for it
	ForRunner = ratelimit.Runner // of an env runner: the tenant's next new script runs there
	Behind    = ratelimit.Behind // an env runner executes the script's runs meanwhile
	Ahead     = ratelimit.Ahead  // scriptfleet.script.saved: no run waits yet
)

// Built is the answer of Ensure and Known.
type Built struct {
	Function string      // the name to invoke
	Script   run.Script  // what it was built of: the caller's, or that without denied packages
	Runner   *run.Script // the env runner whose function it is, where Outcome is bridged
	Outcome  run.BuildOutcome
	Packages []string          // of its layer, as far as this worker knows them; see run.Names
	WaitedOn string            // the worker that led the build, where Outcome is waited
	Log      string            // the build's log, where this call led it or waited for it
	Led      time.Duration     // time that this call spent leading the build
	Waited   time.Duration     // time that this call spent waiting: for a place, for Redis, for another flight or worker
	Span     trace.SpanContext // of the build that this call led, waited for or remembers; not valid where traces are off
}

// FailedError is the error of a build that failed. Outcome tells whether this
// call led the build (failed), waited for it (waited), or found the record of
// an earlier one (remembered_failure).
type FailedError struct {
	Built
	Reason *run.Error
}

func (e *FailedError) Error() string { return "build: " + e.Reason.Error() }
func (e *FailedError) Unwrap() error { return e.Reason }
