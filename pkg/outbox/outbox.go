// Package outbox is the order in which the result of a run goes out. Promise 1,
// one result for each request, rests on it:
//
//		claim ──▶ decide ──▶ write down ──▶ publish ──▶ note ──▶ the caller deletes its delivery
//
//	  - Claim: the ledger grants the run to one owner at a time. A run whose result
//	    is written down already is not granted: Claim publishes that result.
//	  - Decide: the caller finds the result. A worker runs the script, a dispatcher
//	    refuses the request.
//	  - Write down: the ledger stores the event, if the claim still holds. From
//	    here on it is the only result that the run can have. So an event that the
//	    results queue would not take is replaced before, by one that says so: what
//	    is written down, counted and published is one thing.
//	  - Publish: the event is sent, as it is stored.
//	  - Note: the ledger drops the event and keeps the run's identity.
//
// # What a crash repeats
//
// The delivery is deleted last, so a process that dies leaves it to come again.
// Its next owner starts with Claim:
//
//	died after     the next owner finds            and so
//	claim          the claim, until it runs out    decides
//	decide         the same                        decides again: a script that has
//	                                               run is the caller's to judge
//	write down     the stored event                publishes it, notes, deletes
//	publish        the stored event                publishes it once more: the same
//	                                               event with the same id
//	note           the run as published            deletes
//
// A call whose answer is lost counts as not made, and is repeated in the same
// way: the ledger counts nothing twice.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrPublished is why Claim grants nothing: the run's result is out. Its
// delivery can be deleted.
var ErrPublished = errors.New("outbox: the run's result is published")

// HeldError is why Claim grants nothing: another owner has the run.
type HeldError struct {
	By  string
	For time.Duration // unless that owner renews its claim
}

func (e *HeldError) Error() string { return "outbox: " + e.By + " has the run" }

// Ledger is what an outbox needs of a [ledger.Ledger].
type Ledger interface {
	Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error)
	Finish(ctx context.Context, fs []ledger.Finish) ([]error, error)
	Published(ctx context.Context, keys []run.Key) error
}

// Deps of an outbox.
type Deps struct {
	Ledger Ledger
	// Send puts one event on the results queue.
	Send func(ctx context.Context, m queue.Message) error
	// MaxBytes is the results queue's.
	MaxBytes int
	// Again is asked before a call is repeated that failed because the ledger or
	// the results queue is away. It waits, and is false where the caller is to
	// give up; so it is once ctx has ended. nil never repeats.
	Again func(ctx context.Context, err error, try int) bool
	// Sent is told the status of each event that was sent; may be nil.
	Sent  func(status run.Status)
	Log   *zap.Logger
	Guard panics.Guard // of calls that many runs share
}

// Outbox is safe for concurrent use. Calls of many runs share round trips to the
// ledger.
//
// The ctx of its methods bounds the repeats of a call, not a call: one that is
// under way is let finish, since a claim that is granted unheard would stand in
// the way of the next owner. The ledger's calls have timeouts of their own.
type Outbox struct {
	deps Deps

	claims    *batch.Batcher[ledger.Claim, ledger.Answer]
	finishes  *batch.Batcher[ledger.Finish, struct{}]
	published *batch.Batcher[run.Key, struct{}]
}

// ledgerTimeout bounds one round trip for a batch of runs.
const ledgerTimeout = 5 * time.Second

// New makes an outbox whose claims last claimTTL.
func New(claimTTL time.Duration, deps Deps) *Outbox {
	if deps.Again == nil {
		deps.Again = func(context.Context, error, int) bool { return false }
	}
	if deps.Sent == nil {
		deps.Sent = func(run.Status) {}
	}
	return &Outbox{
		deps: deps,
		claims: batch.New(batch.Config[ledger.Claim]{Max: 100, Concurrency: 2, Guard: deps.Guard},
			func(ctx context.Context, cs []ledger.Claim) ([]ledger.Answer, []error) {
				ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
				defer cancel()
				answers, err := deps.Ledger.Claim(ctx, cs, claimTTL)
				return answers, same(err, len(cs))
			}),
		finishes: batch.New(batch.Config[ledger.Finish]{
			Max: 100, MaxWeight: 4 << 20, Weight: func(f ledger.Finish) int { return len(f.Result) }, Concurrency: 2, Guard: deps.Guard,
		}, func(ctx context.Context, fs []ledger.Finish) ([]struct{}, []error) {
			ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
			defer cancel()
			errs, err := deps.Ledger.Finish(ctx, fs)
			if err != nil {
				errs = same(err, len(fs))
			}
			return nil, errs
		}),
		published: batch.New(batch.Config[run.Key]{Max: 100, Concurrency: 2, Guard: deps.Guard},
			func(ctx context.Context, keys []run.Key) ([]struct{}, []error) {
				ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
				defer cancel()
				return nil, same(deps.Ledger.Published(ctx, keys), len(keys))
			}),
	}
}

// same is one error for each of n entries.
func same(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// Grant is a claim that was granted.
type Grant struct {
	ledger.Answer
	Sent time.Time // when the call was sent that granted it: the claim lasts from here
}

// Claim asks for a run. It fails with ErrPublished, with a *HeldError, or with
// why the ledger or the results queue could not be reached.
func (o *Outbox) Claim(ctx context.Context, c ledger.Claim) (Grant, error) {
	var g Grant
	err := o.repeat(ctx, func() (err error) {
		g.Sent = time.Now()
		g.Answer, err = o.claims.Do(context.WithoutCancel(ctx), c)
		return err
	})
	switch {
	case err != nil:
		return Grant{}, fmt.Errorf("claim run %s: %w", c.Entry.Key, err)
	case g.State == ledger.Published:
		return Grant{}, ErrPublished
	case g.State == ledger.Done:
		return Grant{}, o.publishStored(ctx, c.Entry.Key, g.Result)
	case !g.Granted:
		return Grant{}, &HeldError{By: g.HeldBy, For: g.HeldFor}
	}
	return g, nil
}

// Finish writes the result of a run down that was claimed, publishes it, and
// notes that it is out. written is told what is written down, which may be a
// result in the place of res: the claim is over then, and not to be renewed any
// more. Finish fails with ledger.ErrLost where the claim was lost before; nothing
// is published then.
func (o *Outbox) Finish(ctx context.Context, hold ledger.Hold, res run.Result, written func(run.Result)) error {
	res, body, err := o.event(res)
	if err != nil {
		return err
	}
	err = o.repeat(ctx, func() error {
		_, err := o.finishes.Do(context.WithoutCancel(ctx), ledger.Finish{Hold: hold, Status: res.Data.Status, Result: body})
		return err
	})
	if err != nil {
		// It is not published: the ledger would not know of it, so the next
		// delivery would be followed by another result.
		return fmt.Errorf("write result %s down: %w", res.ID, err)
	}
	written(res)
	return o.publish(ctx, hold.Entry.Key, res, body)
}

// event is the result as it goes out: res, or what stands in its place.
func (o *Outbox) event(res run.Result) (run.Result, []byte, error) {
	body, err := res.Encode()
	if err != nil {
		res = withoutOutput(res, run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "ResultNotEncodable", Message: fmt.Sprintf("The result could not be written: %v.", err),
		})
		if body, err = res.Encode(); err != nil {
			return res, nil, fmt.Errorf("encode result %s: %w", res.ID, err)
		}
	}
	if queue.Refused(message(res, body).Validate(o.deps.MaxBytes)) {
		return tooLarge(body)
	}
	return res, body, nil
}

// Answer claims a run, and has the result that decide finds go out. It returns
// nil once the run's result is out, be it this one or an earlier one.
func (o *Outbox) Answer(ctx context.Context, c ledger.Claim, decide func(context.Context) (run.Result, error)) error {
	grant, err := o.Claim(ctx, c)
	if errors.Is(err, ErrPublished) {
		return nil
	}
	if err != nil {
		return err
	}
	res, err := decide(ctx)
	if err != nil {
		return err
	}
	return o.Finish(ctx, grant.Hold, res, func(run.Result) {})
}

// publishStored publishes what an owner before has written down. It returns
// ErrPublished once that is done.
func (o *Outbox) publishStored(ctx context.Context, key run.Key, stored []byte) error {
	res, err := run.DecodeResult(stored)
	if err != nil {
		return fmt.Errorf("read the stored result of run %s: %w", key, err)
	}
	if err := o.publish(ctx, key, res, stored); err != nil {
		return err
	}
	return ErrPublished
}

// publish sends an event that is written down, and notes that it is out.
func (o *Outbox) publish(ctx context.Context, key run.Key, res run.Result, stored []byte) error {
	err := o.send(ctx, res, stored)
	if queue.Refused(err) { // the queue takes less than when it was written down
		if res, stored, err = tooLarge(stored); err == nil {
			err = o.send(ctx, res, stored)
		}
	}
	if err != nil {
		return fmt.Errorf("publish result %s: %w", res.ID, err)
	}
	o.deps.Sent(res.Data.Status)
	if _, err := o.published.Do(context.WithoutCancel(ctx), key); err != nil {
		o.deps.Log.Warn("cannot note that a result is out; a duplicate would repeat it", zap.String("run", string(key)), zap.Error(err))
	}
	return nil
}

func message(res run.Result, body []byte) queue.Message {
	return queue.Message{Body: body, Group: res.Tenant, Attributes: res.Attributes()}
}

func (o *Outbox) send(ctx context.Context, res run.Result, body []byte) error {
	m := message(res, body)
	for try := 1; ; try++ {
		err := o.deps.Send(ctx, m)
		var panicked *panics.Error // would most likely come again, and pause all others meanwhile
		if err == nil || queue.Refused(err) || errors.As(err, &panicked) || !o.deps.Again(ctx, err, try) {
			return err
		}
	}
}

// repeat makes a call again for as long as the ledger is away.
func (o *Outbox) repeat(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		if !errors.Is(err, ledger.ErrUnavailable) || !o.deps.Again(ctx, err, try) {
			return err
		}
	}
}

// tooLarge is the event in the place of one that its queue does not take. It
// depends on that event alone, so that it is the same whenever it is made.
func tooLarge(event []byte) (run.Result, []byte, error) {
	res, err := run.DecodeResult(event)
	if err != nil {
		return run.Result{}, nil, fmt.Errorf("read the result that is too large: %w", err)
	}
	status := res.Data.Status
	if status == run.Succeeded {
		status = run.Failed
	}
	res = withoutOutput(res, status, &run.Error{
		Owner: run.OwnerAuthor, Type: "ResultTooLarge",
		Message: fmt.Sprintf("The script has run, and its result of %d bytes is more than the results queue takes: return less, or a reference to it.", len(event)),
	})
	body, err := res.Encode()
	return res, body, err
}

func withoutOutput(res run.Result, status run.Status, reason *run.Error) run.Result {
	res.Data.Status, res.Data.Error = status, reason
	res.Data.Output, res.Data.Logs, res.Data.Build.Log = nil, run.Logs{Truncated: true}, nil
	return res
}
