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
// # Claims and fences
//
// A claim is a lease on one run: it lasts a TTL, is renewed while a worker
// holds the run, and carries a fence. The fence of a grant is greater than that
// of every grant of the same run before it, those that the ledger has forgotten
// included. Whoever has the greater fence is right:
//
//   - A hold is good while its fence is the record's and nobody has released
//     it, also after its TTL: a claim that ran out is lost only once another
//     owner has claimed the run, or the run is settled.
//   - A hold whose fence is greater than the record's is good: the ledger has
//     forgotten the grant, and maybe learnt of the run again from elsewhere.
//     Its record is put back over what is there.
//   - Every other hold is lost.
//
// # What forgetting does
//
// The ledger is a helper: Redis may forget it at any moment. An unknown run can
// then be claimed, and counts as tried once: whoever sends runs to workers has
// them accepted first, so this one was forgotten, and with it whether the script
// was executed. A holder's Renew, Invoking, Release and Finish put its record
// back. Books start again from zero, and stay consistent.
//
// # Repeating a call
//
// Every method may be repeated when its outcome is unknown (a broken
// connection, a deadline), with the same arguments: it counts nothing twice,
// and a claim that was granted is granted again, with the same answer.
//
// # Two deliveries that find a run Done
//
// Both may publish the stored result: it is the same event with the same id,
// which consumers take for one. Neither invokes anything.
package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrUnavailable is wrapped by every error that says that the ledger is out of
// reach for now: the call may or may not have taken effect, and repeating it is
// safe. The caller pauses its intake; what it holds goes on.
var ErrUnavailable = errors.New("ledger: out of reach")

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
	// Attempts counts the invocations that were begun before this claim, and not
	// taken back, and one for a run that the ledger knew nothing of: above zero, the script may have executed. Judge by it, not by
	// State: a run that was released is Queued again.
	Attempts int
	// Claims counts the grants, this one included: many of them with few
	// Attempts is a run that kills its workers, or one that is often put back.
	Claims int
	// Fresh is set where the ledger knew nothing of the run, but perhaps that it
	// was cancelled.
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
	// Invoking is set by Ledger.Invoking: the last of Attempts is this hold's.
	Invoking bool
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
	// Since is when the state was entered; of a record that Open lists and that
	// is forgotten otherwise, when the run was accepted.
	Since time.Time
}

// Books are the counts that promise 1 is checked with, taken at one instant.
// Accepted counts each run once, at its first Accept or Claim (or when a hold
// puts a forgotten record back), and Finished once, at its first Finish; Open
// counts what is between, so Accepted = Open + the sum of Finished, always.
// A run that is Published while it counts as open (the ledger forgot its Finish
// and heard of it again) is finished under the empty status.
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
	// sending. Accepting a run again is no error and changes nothing.
	Accept(ctx context.Context, es []Entry) ([]State, error)

	// Claim asks for runs for ttl each. An owner's claim that ran out does not
	// stand in the way. Of any number of claims on one run at once, one is
	// granted.
	Claim(ctx context.Context, cs []Claim, ttl time.Duration) ([]Answer, error)

	// Renew makes the claims last ttl from now. It puts back a record that
	// Redis forgot, with what the hold knows: renew with the latest hold. The
	// errors are nil, or ErrLost.
	Renew(ctx context.Context, hs []Hold, ttl time.Duration) ([]error, error)

	// Invoking notes that the holder is about to invoke, and counts an attempt:
	// from here on the run may have executed. It fails with ErrLost. The hold
	// that it returns carries the new count and is the one to use from then on;
	// asking again with the hold from before is the same attempt.
	Invoking(ctx context.Context, h Hold) (Hold, error)

	// Wait notes what a held run waits for, for explain. The note outlives a
	// Release, and ends with the next claim or invocation. Of a lost claim, or
	// a forgotten run, nothing is noted; that is no error.
	Wait(ctx context.Context, h Hold, reason string) error

	// Release gives a run back, so that its next delivery can be claimed at
	// once; executed says whether the script may have run, else the attempt
	// that this hold has counted, if any, is taken back. Attempts of owners
	// before stay. Releasing a lost claim is no error and changes nothing.
	Release(ctx context.Context, h Hold, executed bool) error

	// Finish stores the result event. It fails with ErrLost for those whose run
	// was claimed by another, or is Done by another or Published already: what
	// they know must not be published. A forgotten run is put back as Done.
	Finish(ctx context.Context, fs []Finish) ([]error, error)

	// Published notes that the result is out, drops it, and keeps the identity
	// for as long as a duplicate can come. It holds for runs that the ledger
	// has forgotten too, and against whoever has claimed them since.
	Published(ctx context.Context, keys []run.Key) error

	// Cancel marks a run as cancelled and tells the state that it was in.
	// Cancelling a run that nobody has heard of marks it too: the request may
	// still be on its way. A run that is Done or Published is not marked.
	Cancel(ctx context.Context, e Entry) (State, error)

	// Cancelled tells which of the runs are marked as cancelled; once it is
	// Published, none is.
	Cancelled(ctx context.Context, keys []run.Key) ([]bool, error)

	// Lookup tells what is known of a run; of an unknown one, its key alone.
	// Of a published run only Key, State, Status, Since and Attempts are known.
	Lookup(ctx context.Context, key run.Key) (Record, error)
	// Open lists runs that are accepted and not finished, the oldest first, at
	// most limit. One whose record ran out stands as Unknown: nobody has touched
	// it for as long as a queue keeps a message. Published takes it off the list.
	Open(ctx context.Context, limit int) ([]Record, error)
	Books(ctx context.Context) (Books, error)
	// Backlogs tells how many open runs each of the tenants has. After records
	// were lost singly, as by eviction, it may count too many.
	Backlogs(ctx context.Context, tenants []string) ([]int, error)
}

// Finish is the outcome of a held run.
type Finish struct {
	Hold   Hold
	Status run.Status
	Result []byte // the event, or its claim check
}

// EntryOf is the entry of a run.
func EntryOf(r run.Run) Entry {
	return Entry{
		Key: r.Key, Tenant: r.Tenant, Source: r.Source, ID: r.ID, Action: r.Data.Action, Script: r.Script.Hash,
	}
}
