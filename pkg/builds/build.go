package builds

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrStale is why Records.Put fails: a greater fence has written since.
var ErrStale = errors.New("build: a later holder of the lease has written the record")

// Record is what the fleet knows of an env or a script: built, or failed.
type Record struct {
	// ARN of the layer, or name of the function; empty where the build failed.
	ARN string `json:"arn,omitempty"`
	// Failure is why the last build failed; remembered until Until.
	Failure *run.Error `json:"failure,omitempty"`
	Until   time.Time  `json:"until,omitzero"`
	// Failures counts how many builds in a row have failed.
	Failures int    `json:"failures,omitempty"`
	Log      string `json:"log,omitempty"`
	Fence    int64  `json:"fence"`
	Builder  string `json:"builder"` // who built it, for waited_on
}

// Records holds one record per hash, and tells whoever waits for one.
// redisrecords keeps them in Redis, memrecords in memory; recordstest holds
// both to this contract. Redis may forget a record: the function is then found
// to be there on create.
type Records interface {
	// Get returns the record, or ok = false.
	Get(ctx context.Context, hash string) (r Record, ok bool, err error)
	// Put writes the record by a compare in one step: it fails with ErrStale
	// where the record there carries a greater fence. It then tells the
	// watchers. A ttl of 0 keeps the record for good.
	Put(ctx context.Context, hash string, r Record, ttl time.Duration) error
	// Drop forgets the record, where it does not carry a greater fence, and
	// tells the watchers in any case.
	Drop(ctx context.Context, hash string, fence int64) error
	// Watch returns a channel that receives after each Put or Drop of hash from
	// now on. Signals may be missed, so watchers look again by themselves too.
	// stop ends the watch; it must be called.
	Watch(ctx context.Context, hash string) (changed <-chan struct{}, stop func(), err error)
}

// Priority says for whom a build is made.
type Priority int

const (
	ForRun Priority = iota // a run waits for it
	Ahead                  // scriptfleet.script.saved: nobody waits yet
)

// Built tells what Ensure found or made.
type Built struct {
	Function string // the name to invoke
	Outcome  run.BuildOutcome
	WaitedOn string        // the worker that led the build, where Outcome is waited
	Log      string        // the build's log, where this call led it or waited for it
	Led      time.Duration // time that this call spent leading
	Waited   time.Duration // time that this call spent waiting for another's build
}

// FailedError is a build that failed. Outcome tells whether this call led it
// (failed), waited for it (waited), or was told of an earlier one
// (remembered_failure).
type FailedError struct {
	Built
	Reason *run.Error
}

func (e *FailedError) Error() string { return "build: " + e.Reason.Error() }
func (e *FailedError) Unwrap() error { return e.Reason }
