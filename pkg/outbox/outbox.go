// Package outbox brings the result of a run to the results queue, in an order
// that keeps promise 1, one result for each request:
//
//		claim ──▶ decide ──▶ write down ──▶ publish ──▶ note ──▶ the caller deletes its delivery
//
//	  - Claim: the ledger grants the run to one owner at a time. It does not grant a
//	    run whose result is stored already: Claim then publishes that result.
//	  - Decide: the caller makes the result. A worker runs the script, a dispatcher
//	    refuses the request.
//	  - Write down: the ledger stores the event, if the claim still holds. From then
//	    on the run can have no other result. An event that is too large for the
//	    results queue is replaced before that, by one that says so. So the ledger
//	    stores and counts the same result that is published.
//	  - Publish: the stored event is sent to the results queue.
//	  - Note: the ledger drops the event and keeps the run's identity.
//
// # After a crash
//
// The delivery is deleted last, so if a process dies, the delivery comes again.
// Its next owner begins with Claim:
//
//	died after     the next owner finds            and then
//	claim          the claim, until it runs out    decides
//	decide         the same                        decides again; the caller judges
//	                                               whether a script may run again
//	write down     the stored event                publishes it, notes, deletes
//	publish        the stored event                publishes it again: the same
//	                                               event with the same id
//	note           the run as published            deletes
//
// Notes and deletes are sent in batches: notes with other calls of the ledger, or
// noteWithin after the result is published. If the process dies in between, the last rows of the
// table apply to all runs of the batch. A stop waits for both.
//
// A call whose answer is lost is repeated in the same way, and the ledger
// counts nothing twice.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// ErrPublished is returned by Claim where the run's result is published
// already. The caller should delete its delivery.
var ErrPublished = errors.New("outbox: the run's result is published")

// HeldError is returned by Claim where another owner holds the run.
type HeldError struct {
	By  string        // the owner
	For time.Duration // until its claim runs out unless it is renewed
}

func (e *HeldError) Error() string { return "outbox: " + e.By + " has the run" }

// Ledger is the part of [ledger.Ledger] that an outbox uses.
type Ledger interface {
	Together(ctx context.Context, cs ledger.Calls) ledger.Answers
}

// Deps of an outbox.
type Deps struct {
	Ledger Ledger
	// Send puts one event on the results queue.
	Send func(ctx context.Context, m queue.Message) error
	// MaxBytes is the size of the largest message of the results queue, in
	// bytes.
	MaxBytes int
	// Again is called after call number try failed because the ledger or the
	// results queue is away. It waits, and returns whether to call again. It
	// must return false once ctx has ended. A nil Again never repeats.
	Again func(ctx context.Context, err error, try int) bool
	// Sent is called with the status of each event that was sent; may be nil.
	Sent  func(status run.Status)
	Log   *zap.Logger
	Guard panics.Guard // of the batched calls of the ledger
	// Linger is how long a claim, a begin or a finish waits for others, if they are
	// expected by the rate of the latest ones. 0 is for none.
	Linger time.Duration
}

// Outbox is safe for concurrent use. Calls of many runs share round trips to
// the ledger.
//
// The ctx of its methods bounds how often a call is repeated. It does not
// cancel a call of the ledger under way: the ledger may grant a claim whose
// answer the caller then does not get, and no other owner could claim the run
// until it ran out. Each call of the ledger has a timeout of its own.
type Outbox struct {
	deps   Deps
	calls  *calls
	noting *lasting.Fault
}

// New returns an outbox whose claims last claimTTL.
func New(claimTTL time.Duration, deps Deps) *Outbox {
	if deps.Again == nil {
		deps.Again = func(context.Context, error, int) bool { return false }
	}
	if deps.Sent == nil {
		deps.Sent = func(run.Status) {}
	}
	return &Outbox{
		deps: deps, calls: newCalls(deps.Ledger, claimTTL, deps.Linger, deps.Guard),
		noting: lasting.New(deps.Log, "cannot note in the ledger that a result is published; another delivery of the run would publish it again",
			"published results can be noted in the ledger again"),
	}
}

// Grant is a claim that was granted.
type Grant struct {
	ledger.Answer
	Sent time.Time // just before the call that granted it was sent; the claim's TTL counts from here
}

// Claim claims a run. It fails with ErrPublished, with a *HeldError, or with
// the error of the ledger or the results queue. If the run's result is stored
// already, Claim publishes it and returns ErrPublished.
func (o *Outbox) Claim(ctx context.Context, c ledger.Claim) (Grant, error) {
	var g Grant
	err := o.repeat(ctx, func() (err error) {
		g.Sent = time.Now()
		g.Answer, err = o.calls.do(context.WithoutCancel(ctx), call{claim: &c})
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

// Begin counts an attempt of a claimed run in the ledger, once. From then on the
// script may have executed.
func (o *Outbox) Begin(ctx context.Context, hold ledger.Hold) error {
	_, err := o.calls.do(ctx, call{begin: &hold})
	return err
}

// Finish stores the result of a claimed run in the ledger, publishes it, and
// notes that it is published. Between the first two steps it calls written with
// the stored result, which may be a replacement of res; the claim has ended by
// then, so the caller must not renew it any more. It calls out when the result
// is published and only the note is left. If the claim was lost before, Finish
// fails with ledger.ErrLost and publishes nothing.
func (o *Outbox) Finish(ctx context.Context, hold ledger.Hold, res run.Result, written func(run.Result), out func()) error {
	res, body, err := o.event(res)
	if err != nil {
		return err
	}
	summary := ledger.SummaryOf(hold, res)
	err = o.repeat(ctx, func() error {
		_, err := o.calls.do(context.WithoutCancel(ctx), call{finish: &ledger.Finish{Hold: hold, Status: res.Data.Status, Result: body, Summary: &summary}})
		return err
	})
	if err != nil {
		// The result is not published: it is not stored, so the next delivery
		// of the run could publish another one.
		return fmt.Errorf("write result %s down: %w", res.ID, err)
	}
	written(res)
	return o.publish(ctx, hold.Entry.Key, res, body, out)
}

// event encodes res, or the result that replaces it if it cannot be encoded or
// is too large.
func (o *Outbox) event(res run.Result) (run.Result, []byte, error) {
	body, err := res.Encode()
	if err != nil {
		res = withoutOutput(res, run.PlatformError, &run.Error{
			Owner: run.OwnerPlatform, Type: "ResultNotEncodable", Message: fmt.Sprintf("The script may have run, but its result could not be written: %v. Check what the script did, and tell the platform's operator.", err),
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

// Answer claims a run, calls decide for its result, and publishes that. It
// returns nil once a result of the run is published, also if that is an earlier
// one.
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
	return o.Finish(ctx, grant.Hold, res, func(run.Result) {}, func() {})
}

// publishStored publishes the result that an earlier owner has stored. It
// returns ErrPublished once that is done.
func (o *Outbox) publishStored(ctx context.Context, key run.Key, stored []byte) error {
	res, err := run.DecodeResult(stored)
	if err != nil {
		return fmt.Errorf("read the stored result of run %s: %w", key, err)
	}
	if err := o.publish(ctx, key, res, stored, func() {}); err != nil {
		return err
	}
	return ErrPublished
}

// publish sends a stored event, and notes in the ledger that it is published.
func (o *Outbox) publish(ctx context.Context, key run.Key, res run.Result, stored []byte, out func()) error {
	err := o.send(ctx, res, stored)
	if queue.Refused(err) { // the queue's limit was lowered after the event was stored
		if res, stored, err = tooLarge(stored); err == nil {
			err = o.send(ctx, res, stored)
		}
	}
	if err != nil {
		return fmt.Errorf("publish result %s: %w", res.ID, err)
	}
	o.deps.Sent(res.Data.Status)
	out()
	if err := o.calls.note(key, len(stored)); err != nil {
		o.noting.Met(err, zap.String("run", string(key)))
	} else {
		o.noting.Over()
	}
	return nil
}

func message(res run.Result, body []byte) queue.Message {
	return queue.Message{Body: body, Group: res.Tenant, Attributes: res.Attributes(), TraceHeader: trace.Header(res.Traceparent)}
}

func (o *Outbox) send(ctx context.Context, res run.Result, body []byte) error {
	m := message(res, body)
	for try := 1; ; try++ {
		err := o.deps.Send(ctx, m)
		var panicked *panics.Error // not repeated: it would most likely panic again, and Again may pause the intake
		if err == nil || queue.Refused(err) || errors.As(err, &panicked) || !o.deps.Again(ctx, err, try) {
			return err
		}
	}
}

// repeat repeats a call while it fails with ledger.ErrUnavailable and Again
// allows it.
func (o *Outbox) repeat(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		if !errors.Is(err, ledger.ErrUnavailable) || !o.deps.Again(ctx, err, try) {
			return err
		}
	}
}

// tooLarge makes the replacement of an event that is too large for its queue.
// The replacement depends on that event only, so it is the same each time.
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
