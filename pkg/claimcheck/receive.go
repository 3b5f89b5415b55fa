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

// noteProblem is the attribute that Problem reads. SQS refuses a colon in the
// name of an attribute, so no sender can set it.
const noteProblem = "claimcheck:problem"

// problems maps the values of noteProblem to errors.
var problems = map[string]error{
	"malformed": ErrMalformed,
	"foreign":   ErrForeign,
	"no object": ErrNoObject,
	"too large": ErrTooLarge,
}

// Problem returns nil if the delivery has the body of its message. Otherwise
// its body is still a pointer, and Problem returns why: ErrMalformed,
// ErrForeign, ErrNoObject or ErrTooLarge. Another receive would not help, so
// the receiver should reject the message.
func Problem(d queue.Delivery) error { return problems[d.Attributes[noteProblem]] }

// Receive receives deliveries and reads their bodies from the store. It puts
// back a delivery whose body it cannot read now, and leaves it out. If none is
// left, it returns the store's error.
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

// redeem reads the bodies of the deliveries that are claim checks. It takes at
// most half of their visibility. The end of ctx does not stop it, since the
// deliveries are ours already.
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

// redeemOne reads the body of one delivery. It fails only if another receive
// may help; any other error becomes the delivery's Problem.
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

// pointerOf reads a delivery's pointer, and refuses one that the delivery may
// not follow.
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

// putBack puts deliveries back with a delay that grows with their receive
// count: 2ⁿ s, at most 60 s, plus a jitter of up to as much. So a long absence
// of the store uses up few receives. A delivery that cannot be put back comes
// again when its visibility runs out.
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
	q.cfg.Log.Warn("deliveries put back: the store did not give their bodies",
		zap.String("queue", q.Name()), zap.Int("deliveries", len(ds)), zap.Error(why))
	return nil
}
