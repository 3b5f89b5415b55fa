package claimcheck

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Send puts messages on the queue, and their bodies into the store if their
// Size is above the threshold. It refuses a message that has an attribute of a
// claim check with queue.ErrInvalid, since a receiver would read its body as a
// pointer.
func (q *Queue) Send(ctx context.Context, ms []queue.Message) []error {
	errs := make([]error, len(ms))
	checked := make([]queue.Message, len(ms))
	var large []int
	for i := range ms {
		checked[i] = withoutNotes(ms[i])
		switch {
		case isClaimCheck(ms[i].Attributes):
			errs[i] = fmt.Errorf("%w: it has an attribute of a claim check", queue.ErrInvalid)
		case checked[i].Size() > q.cfg.Threshold:
			large = append(large, i)
		}
	}
	atOnce(len(large), func(n int) {
		i := large[n]
		checked[i], errs[i] = q.checkIn(ctx, checked[i])
	})
	q.sendOn(ctx, checked, errs)
	return errs
}

// checkIn stores a message's body and returns the message with the pointer. It
// does not store the body of a message that the queue would refuse.
func (q *Queue) checkIn(ctx context.Context, m queue.Message) (queue.Message, error) {
	if len(m.Body) > q.cfg.MaxBody {
		return m, fmt.Errorf("%w: %w: %d bytes, at most %d", queue.ErrTooLarge, ErrTooLarge, len(m.Body), q.cfg.MaxBody)
	}
	body, key := m.Body, newKey(q.cfg.Prefix, m.Group)
	m.Body = pointer{Bucket: q.store.Bucket(), Key: key}.encode()
	attributes := make(map[string]string, len(m.Attributes)+1)
	maps.Copy(attributes, m.Attributes)
	attributes[queue.AttributePayloadSize] = strconv.Itoa(len(body))
	m.Attributes = attributes
	if err := m.Validate(q.Queue.MaxBytes()); err != nil {
		return m, err
	}
	if err := q.store.Put(ctx, key, body); err != nil {
		return m, fmt.Errorf("store body of a message for %s: %w", q.Name(), err)
	}
	return m, nil
}

// sendOn sends the messages that have no error yet.
func (q *Queue) sendOn(ctx context.Context, ms []queue.Message, errs []error) {
	var good []queue.Message
	var places []int
	for i := range ms {
		if errs[i] == nil {
			good = append(good, ms[i])
			places = append(places, i)
		}
	}
	if len(good) == 0 {
		return
	}
	for n, err := range q.Queue.Send(ctx, good) {
		errs[places[n]] = err
	}
}

func isClaimCheck(attributes map[string]string) bool {
	_, is := attributes[queue.AttributePayloadSize]
	_, was := attributes[queue.AttributeLegacyPayloadSize]
	return is || was
}

// withoutNotes removes the note of Problem, so that the attributes of a
// delivery can be sent again.
func withoutNotes(m queue.Message) queue.Message {
	if _, noted := m.Attributes[noteProblem]; noted {
		m.Attributes = maps.Clone(m.Attributes)
		delete(m.Attributes, noteProblem)
	}
	return m
}

// atOnce calls do for 0 to n-1, eight at a time, and waits for all.
func atOnce(n int, do func(i int)) {
	if n == 1 {
		do(0)
		return
	}
	var g panics.Group
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error { do(i); return nil })
	}
	_ = g.Wait() // do stores its errors itself
}
