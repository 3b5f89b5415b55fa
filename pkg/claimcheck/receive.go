package claimcheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// noteProblem is the attribute that Problem reads. No queue takes a colon in an
// attribute's name, so nobody can send one.
const noteProblem = "claimcheck:problem"

// problems are the sentinels that a note can stand for.
var problems = map[string]error{
	"malformed": ErrMalformed,
	"foreign":   ErrForeign,
	"no object": ErrNoObject,
	"too large": ErrTooLarge,
}

// Problem says why the body of a delivery is still a pointer, as ErrMalformed,
// ErrForeign, ErrNoObject or ErrTooLarge; nil where the body is the message's.
// It will be no better the next time: whoever received it rejects it.
func Problem(d queue.Delivery) error { return problems[d.Attributes[noteProblem]] }

// Receive receives, and redeems the claim checks. A delivery whose body can't be
// had now is put back and left out; where that leaves none, Receive fails.
func (q *Queue) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	ds, err := q.Queue.Receive(ctx, p)
	if err != nil {
		return nil, err
	}
	var checks []int
	for i := range ds {
		if isClaimCheck(ds[i].Attributes) {
			checks = append(checks, i)
		}
	}
	if len(checks) == 0 {
		return ds, nil
	}
	return q.redeem(ctx, ds, checks, p.Visibility)
}

// redeem replaces the bodies of those deliveries that are claim checks. It takes
// no more than half of their visibility, and is let finish: the deliveries are
// ours already.
func (q *Queue) redeem(ctx context.Context, ds []queue.Delivery, checks []int, visibility time.Duration) ([]queue.Delivery, error) {
	within := storeWithin
	if visibility > 0 {
		within = min(within, visibility/2)
	}
	ctx = context.WithoutCancel(ctx)
	getting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	errs := make([]error, len(ds))
	atOnce(len(checks), func(n int) {
		i := checks[n]
		ds[i], errs[i] = q.redeemOne(getting, ds[i])
	})
	kept := ds[:0]
	var later []queue.Delivery
	for i := range ds {
		if errs[i] == nil {
			kept = append(kept, ds[i])
		} else {
			later = append(later, ds[i])
		}
	}
	if len(later) == 0 {
		return kept, nil
	}
	return kept, q.putBack(ctx, later, errors.Join(errs...), len(kept) == 0)
}

// redeemOne fails only with what may be better the next time.
func (q *Queue) redeemOne(ctx context.Context, d queue.Delivery) (queue.Delivery, error) {
	attributes := maps.Clone(d.Attributes)
	delete(attributes, queue.AttributePayloadSize)
	delete(attributes, queue.AttributeLegacyPayloadSize)
	d.Attributes = attributes

	p, err := q.pointerOf(d)
	if err == nil {
		var body []byte
		if body, err = q.store.Get(ctx, p.Key, q.cfg.MaxBody); err == nil {
			d.Body = body
			return d, nil
		}
	}
	for name, problem := range problems {
		if errors.Is(err, problem) {
			attributes[noteProblem] = name
			return d, nil
		}
	}
	return d, fmt.Errorf("redeem claim check of %s: %w", d.MessageID, err)
}

// pointerOf is where a delivery's body lies, if it is where it may lie.
func (q *Queue) pointerOf(d queue.Delivery) (pointer, error) {
	p, err := parsePointer(d.Body)
	if err != nil {
		return pointer{}, err
	}
	if p.Bucket != q.store.Bucket() || !mayRead(p.Key, q.cfg.Prefix, d.Group, q.cfg.Foreign) {
		return pointer{}, ErrForeign
	}
	return p, nil
}

// putBack lets deliveries come again after a delay that grows with their receive
// count, so that a store that is away for long uses up few receives. Those that
// can't be put back come again when their visibility runs out.
func (q *Queue) putBack(ctx context.Context, ds []queue.Delivery, why error, none bool) error {
	for i := range ds {
		delay := min(time.Second<<min(ds[i].ReceiveCount, 6), time.Minute)
		delay += rand.N(delay)
		if err := q.Queue.Extend(ctx, ds[i:i+1], delay)[0]; err != nil {
			why = errors.Join(why, err)
		}
	}
	if none {
		return fmt.Errorf("receive from %s: %w", q.Name(), why)
	}
	q.cfg.Log.Warn("put back what the store did not give",
		zap.String("queue", q.Name()), zap.Int("deliveries", len(ds)), zap.Error(why))
	return nil
}
