// Package ledger defines the ledger, which keeps a record of each run. It tells
// the holder of a second delivery of a run what to do with it. redisledger
// keeps the ledger in Redis, memledger in memory; ledgertest holds both to this
// contract.
//
// The states of a record:
//
//	queued ──▶ claimed ──▶ invoking ──▶ done ──▶ published
//	  ▲  │        │         ▲  │
//	  │  └────────│─────────┘  │  claimed and begun in one call
//	  └───────────┴────────────┘  released
//
// A claim that runs out does not change the state. It makes the run claimable.
//
// # Claims and fences
//
// A claim is a lease on one run. It lasts for a TTL, and the worker that holds
// the run renews it. Each grant has a fence, a number greater than the fence of
// every earlier grant of the same run, also of grants that the ledger has lost.
// For a hold with fence h and a record with fence r:
//
//   - done or published: the hold is lost.
//   - h > r: the hold is good. The ledger has lost its grant, and may have got
//     a new record of the run from an older hold or from Accept. The hold's
//     claim is put back into the record.
//   - h = r: the hold is good until it is released. A claim whose TTL has
//     passed is still good, until another owner claims the run.
//   - h < r: the hold is lost.
//
// # After a loss of the ledger
//
// Redis may lose the ledger at any moment, in whole or in part. An unknown run
// can be claimed, and its Attempts begin at 1: the dispatcher accepts each run
// before it sends it, so the record was lost, and the script may have executed.
// Renew, Invoking, Release and Finish of a good hold put its record back. The
// Books start at zero again, and stay consistent.
//
// # Repeating a call
//
// A method whose outcome is unknown (a broken connection, a deadline) may be
// called again with the same arguments. It counts nothing twice, and Claim
// gives the same owner the same grant. A Claim with Begin is repeated with Begin,
// and only by an owner that has not got its answer.
//
// # Two deliveries of a run that is Done
//
// Both may publish the stored result. It is the same event with the same id, so
// consumers recognise the second. Neither delivery invokes the script.
package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrUnavailable is wrapped by the errors of calls that could not reach the
// ledger. The call may have taken effect, and may be repeated. The caller
// should pause its intake and go on with the runs that it holds.
var ErrUnavailable = errors.New("ledger: out of reach")

// ErrLost is the error of Renew, Invoking and Finish for a lost hold: another
// owner has claimed the run since, or the run is Done or Published, or the hold
// was released.
var ErrLost = errors.New("ledger: the claim on the run is lost")

// State is the state of a run's record.
type State string

const (
	Unknown   State = ""          // the ledger has no record, or has lost it
	Queued    State = "queued"    // accepted, or released
	Claimed   State = "claimed"   // a worker holds the run and has not invoked its script
	Invoking  State = "invoking"  // a worker has invoked the script, or is about to
	Done      State = "done"      // the result is stored and not yet published
	Published State = "published" // the result is on the results queue; the record keeps no result
)

// Entry identifies a run. The fields besides Key are for Lookup, Open and
// Backlogs.
type Entry struct {
	Key    run.Key
	Tenant string
	Source string
	ID     string
	Action string
	Script run.ScriptHash
}

// Claim is a request for a run.
type Claim struct {
	Entry Entry
	Owner string // of one delivery in one worker; no two deliveries share an owner
	// Begin counts the first attempt with the grant, as Invoking does, if the run
	// has had none and is not cancelled. Hold.Invoking of the answer tells whether
	// it was counted. A run without a record is only claimed.
	Begin bool
}

// Answer is the answer to a Claim.
type Answer struct {
	// State of the record before the claim. If the claim was granted, it is
	// Unknown or Queued, or Claimed or Invoking if an earlier claim ran out.
	State State
	// Granted is set where the run was claimed; Hold is then the grant.
	Granted bool
	Hold    Hold
	// HeldBy is the owner that holds the run, where that is another one.
	// HeldFor is the time until its claim runs out unless it is renewed.
	HeldBy  string
	HeldFor time.Duration
	// Attempts is the number of attempts before this claim: those counted by
	// Invoking or Claim that no Release took back, plus one for a run without a
	// record. If it is
	// above zero, the script may have executed. State does not tell that: a
	// released run is Queued.
	Attempts int
	// Claims counts the grants, this one included. Many claims with few
	// attempts are a run that crashes its workers, or that is often put back.
	Claims int
	// Fresh is set where the ledger had no record of the run, or only the mark
	// of its cancellation.
	Fresh bool
	// Cancelled is set where Cancel was called for the run.
	Cancelled bool
	// Result is the stored result event of a run that is Done.
	Result []byte
}

// Hold is a granted claim.
type Hold struct {
	Entry Entry
	Owner string
	Fence int64
	// Attempts is the number of attempts, the holder's own included. It is put
	// back with the record if the ledger loses it.
	Attempts int
	// Invoking is set once Ledger.Invoking or Claim.Begin has counted an attempt:
	// the holder made the last one.
	Invoking bool
}

// Begun is the hold once Invoking has counted its attempt.
func (h Hold) Begun() Hold {
	h.Attempts, h.Invoking = h.Attempts+1, true
	return h
}

// Record is the record of a run, as Lookup and Open return it.
type Record struct {
	Entry     Entry
	State     State
	Owner     string        // of the claim; "" where the run is not Claimed or Invoking
	ClaimLeft time.Duration // until the claim runs out
	Attempts  int
	Cancelled bool
	Status    run.Status // of the result, once the run is Done or Published
	Waiting   string     // the reason that its holder last gave to Wait
	// Since is when the run entered the state. For an Unknown run that Open
	// lists, it is when the run was accepted.
	Since time.Time
}

// Books are the counts by which promise 1 is checked, taken at one instant:
//
//	Accepted = Open + the sum of Finished
//
// Accepted counts each run once: at its first Accept or Claim, or when a hold
// puts a lost record back. Finished counts each run once, at its first Finish,
// under the status of its result. Open counts the accepted runs that are not
// finished. A run that is Published while it is open counts as finished under
// the empty status: the ledger lost its Finish and then got a new record of it.
type Books struct {
	Accepted int64
	Finished map[run.Status]int64
	Open     int64
}

// Ledger is safe for concurrent use. A method that takes a slice answers for
// each element, in the same order, and shares round trips among them. Every
// method may fail with an error that wraps ErrUnavailable.
type Ledger interface {
	// Accept records runs that the dispatcher is about to send, and returns the
	// state of each before. A run that is Done or Published need not be sent.
	// Accepting a run again changes nothing.
	Accept(ctx context.Context, es []Entry) ([]State, error)

	// Claim claims runs for ttl each. A run can be claimed if its record is
	// Unknown or Queued, or if its claim has run out. If several owners claim a
	// run at once, one of them is granted it.
	Claim(ctx context.Context, cs []Claim, ttl time.Duration) ([]Answer, error)

	// Renew makes the claims last ttl from now. The error for each is nil or
	// ErrLost. Call it with the latest hold, the one that Invoking returned:
	// Renew puts a lost record back from the hold's fields.
	Renew(ctx context.Context, hs []Hold, ttl time.Duration) ([]error, error)

	// Invoking records that the holders are about to invoke the scripts, and
	// counts an attempt of each. From then on the script may have executed. The
	// error for each is nil or ErrLost. Use Hold.Begun from then on: it has the
	// new count. A second call with the old hold counts as the same attempt.
	Invoking(ctx context.Context, hs []Hold) ([]error, error)

	// Together makes calls that share round trips. Each does what its method does,
	// in the order of the fields of Calls, and has an error of its own: that of its
	// element, or that of its method.
	Together(ctx context.Context, cs Calls) Answers

	// Wait records what a held run waits for, for explain. Release keeps this
	// reason; the next claim or Invoking clears it. For a lost hold, or a run
	// without a record, Wait records nothing and returns nil.
	Wait(ctx context.Context, h Hold, reason string) error

	// Release gives a run back, so that its next delivery can claim it at once.
	// If executed is false, the script did not execute, and the attempt that
	// this hold counted, if any, is subtracted; attempts of earlier holds stay.
	// Releasing a lost hold changes nothing and returns nil.
	Release(ctx context.Context, h Hold, executed bool) error

	// Finish stores result events. The error for each is nil or ErrLost. A
	// holder that gets ErrLost must not publish its result. If the record was
	// lost, it is put back as Done.
	Finish(ctx context.Context, fs []Finish) ([]error, error)

	// Published records that results are on the results queue. It drops the
	// stored results, and keeps the records for as long as a duplicate of the
	// request can come (Remember). It also does so for runs without a record,
	// and for runs that another owner has claimed since.
	Published(ctx context.Context, keys []run.Key) error

	// Cancel marks a run as cancelled and returns its state before. It also
	// marks a run without a record, since its request may still come. It does
	// not mark a run that is Done or Published.
	Cancel(ctx context.Context, e Entry) (State, error)

	// Cancelled tells which of the runs are marked as cancelled. Published
	// removes the mark.
	Cancelled(ctx context.Context, keys []run.Key) ([]bool, error)

	// Lookup returns the record of a run. For an Unknown run only its Key is
	// set, for a Published run only Key, State, Status, Since and Attempts.
	Lookup(ctx context.Context, key run.Key) (Record, error)
	// Open lists the accepted runs that are not finished, the oldest first, at
	// most limit. A run whose record has expired is Unknown in the list: it was
	// not accepted, claimed or finished for as long as a queue keeps a message.
	// Published removes it from the list.
	Open(ctx context.Context, limit int) ([]Record, error)

	// Books returns the counts of all runs.
	Books(ctx context.Context) (Books, error)

	// Backlogs returns how many open runs each of the tenants has. If Redis
	// loses single records, for example by eviction, the count may be too high.
	Backlogs(ctx context.Context, tenants []string) ([]int, error)

	// AllBacklogs returns the tenants that have open runs, with their number.
	AllBacklogs(ctx context.Context) (map[string]int, error)

	// Recent returns the summaries that are kept of a tenant's finished runs, the
	// newest first. They are for people: how many are kept, and for how long, is
	// bounded for each tenant, and a ledger that was lost has none.
	Recent(ctx context.Context, tenant string) ([]Summary, error)
	// Latest returns the newest summaries of all tenants, the newest first, at most
	// limit: of all runs, or of those that did not succeed. It costs one round trip,
	// however many tenants there are; the ledger bounds how many it keeps.
	Latest(ctx context.Context, unsuccessful bool, limit int) ([]Summary, error)
	// RecentTenants lists the tenants of which summaries are kept, in order.
	RecentTenants(ctx context.Context) ([]string, error)
}

// Finish is the result of a held run.
type Finish struct {
	Hold   Hold
	Status run.Status
	Result []byte // the event, or its claim check
	// Summary is kept for Recent; nil for none. A call that is repeated keeps it
	// once.
	Summary *Summary
}

// Calls are calls of Finish, Published, Claim and Invoking, by many runs.
type Calls struct {
	Finishes  []Finish
	Published []run.Key
	Claims    []Claim
	ClaimTTL  time.Duration
	Invoking  []Hold
}

// Len is the number of calls.
func (c Calls) Len() int {
	return len(c.Finishes) + len(c.Published) + len(c.Claims) + len(c.Invoking)
}

// Answers are the answers to Calls, one for each.
type Answers struct {
	Finishes  []error
	Published []error
	Claims    []Answer
	ClaimErrs []error
	Invoking  []error
}

// NewAnswers returns answers to cs without errors.
func NewAnswers(cs Calls) Answers {
	return Answers{
		Finishes: make([]error, len(cs.Finishes)), Published: make([]error, len(cs.Published)),
		Claims: make([]Answer, len(cs.Claims)), ClaimErrs: make([]error, len(cs.Claims)),
		Invoking: make([]error, len(cs.Invoking)),
	}
}

// EntryOf returns the entry of a run.
func EntryOf(r run.Run) Entry {
	return Entry{
		Key: r.Key, Tenant: r.Tenant, Source: r.Source, ID: r.ID, Action: r.Data.Action, Script: r.Script.Hash,
	}
}
