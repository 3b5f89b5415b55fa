// Package ledger says what is known of each run, so that a second delivery of
// it does the right thing. redisledger keeps it in Redis, memledger in memory;
// ledgertest holds both to this contract.
//
// A run's record goes
//
//	queued ──▶ claimed ──▶ invoking ──▶ done ──▶ published
//	  ▲           │            │
//	  └───────────┴────────────┘  released, or its owner's claim ran out
//
// A claim is a lease on one run: it lasts a TTL, is renewed while a worker
// holds the run, and carries a fence. Whoever has a greater fence is right.
// The ledger is a helper: Redis may forget it at any moment. An unknown run is
// then claimed as if it were new, a holder's Renew and Finish put its record
// back, and Claimed.Fresh together with the receive count of the delivery tells
// that the run may have been under way before.
package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrLost is why a holder's Renew, Invoking or Finish fails: another owner has
// claimed the run since, or the run is settled.
var ErrLost = errors.New("ledger: the claim on the run is lost")

// State is where a run stands.
type State string

const (
	Unknown   State = ""          // never heard of, or forgotten
	Queued    State = "queued"    // on its way to a worker, or put back
	Claimed   State = "claimed"   // a worker holds it and has not invoked
	Invoking  State = "invoking"  // a worker has invoked, or is about to
	Done      State = "done"      // the result is stored and not yet published
	Published State = "published" // the result is out; only the identity is kept
)

// Entry says which run, and what explain and the books want to know of it.
type Entry struct {
	Key    run.Key
	Tenant string
	Source string
	ID     string
	Action string
	Script run.ScriptHash
}

// Claim asks for a run on behalf of a worker.
type Claim struct {
	Entry Entry
	Owner string // one delivery in one worker: no two claims share it
}

// Answer is what Claim found.
type Answer struct {
	// State before the claim; Queued or Unknown, or Claimed or Invoking of an
	// owner whose claim ran out, where the claim was granted.
	State State
	// Granted is set where the run is now the asker's: Hold names the grant.
	Granted bool
	Hold    Hold
	// HeldBy and HeldFor tell whose the run is, and for how long unless that
	// owner renews, where another owner holds it.
	HeldBy  string
	HeldFor time.Duration
	// Attempts counts the invocations that were begun before this claim.
	Attempts int
	// Claims counts the grants, this one included.
	Claims int
	// Fresh is set where the ledger knew nothing of the run.
	Fresh bool
	// Cancelled is set once Cancel was called for the run.
	Cancelled bool
	// Result is the stored result event of a run that is Done.
	Result []byte
}

// Hold names a granted claim.
type Hold struct {
	Entry Entry
	Owner string
	Fence int64
	// Attempts is how many invocations the holder knows of, its own included,
	// so that a forgotten record can be put back.
	Attempts int
}

// Record is what Lookup tells of a run.
type Record struct {
	Entry     Entry
	State     State
	Owner     string        // of the claim, where one holds
	ClaimLeft time.Duration // until the claim runs out
	Attempts  int
	Cancelled bool
	Status    run.Status // of the result, once Done or Published
	Waiting   string     // what the run waits for, as its holder last noted
	Since     time.Time  // when the state was entered
}

// Books are the counts that promise 1 is checked with. Accepted counts each run
// once, at its first Accept or Claim, and Finished once, at its first Finish;
// Open lists what is between.
type Books struct {
	Accepted int64
	Finished map[run.Status]int64
	Open     int64
}

// Ledger is safe for concurrent use. The plural methods take any number of
// entries in one round trip and answer for each, in order.
type Ledger interface {
	// Accept notes runs that the dispatcher is about to send, and tells the
	// state that each was in before: a run that is Done or Published needs no
	// sending. Accepting a run again is no error.
	Accept(ctx context.Context, es []Entry) ([]State, error)

	// Claim asks for runs for ttl each. An owner's claim that ran out does not
	// stand in the way.
	Claim(ctx context.Context, cs []Claim, ttl time.Duration) ([]Answer, error)

	// Renew makes the claims last ttl from now. It puts back a record that
	// Redis forgot. The errors are nil, or ErrLost.
	Renew(ctx context.Context, hs []Hold, ttl time.Duration) ([]error, error)

	// Invoking notes that the holder is about to invoke, and counts an attempt:
	// from here on the run may have executed. It fails with ErrLost. The hold
	// that it returns carries the new count.
	Invoking(ctx context.Context, h Hold) (Hold, error)

	// Wait notes what a held run waits for, for explain.
	Wait(ctx context.Context, h Hold, reason string) error

	// Release gives a run back, so that its next delivery can be claimed at
	// once; executed says whether the script may have run, else the attempt
	// that was counted last, if any, is taken back. Releasing a lost claim is
	// no error.
	Release(ctx context.Context, h Hold, executed bool) error

	// Finish stores the result event. It fails with ErrLost for those whose run
	// was claimed by another, or is Done already: what they know must not be
	// published.
	Finish(ctx context.Context, fs []Finish) ([]error, error)

	// Published notes that the result is out, drops it, and keeps the identity
	// for as long as a duplicate can come.
	Published(ctx context.Context, keys []run.Key) error

	// Cancel marks a run as cancelled and tells the state that it was in.
	// Cancelling a run that nobody has heard of marks it too: the request may
	// still be on its way.
	Cancel(ctx context.Context, e Entry) (State, error)

	// Cancelled tells which of the runs were cancelled.
	Cancelled(ctx context.Context, keys []run.Key) ([]bool, error)

	Lookup(ctx context.Context, key run.Key) (Record, error)
	Books(ctx context.Context) (Books, error)
}

// Finish is the outcome of a held run.
type Finish struct {
	Hold   Hold
	Status run.Status
	Result []byte // the event, or its claim check
}
