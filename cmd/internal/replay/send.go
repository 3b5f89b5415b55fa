package replay

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// send performs the plan, and returns once every call has been answered.
//
// The senders share one cursor: the sender that holds it waits for the next due
// requests, passes the cursor on and sends them. If all senders are busy,
// requests become late, and the next calls are full batches.
func (r *Replay) send(ctx context.Context) {
	turns := make(chan *cursor, 1)
	turns <- &cursor{rest: r.plan, start: r.books.start, tick: r.cfg.Tick}
	var senders sync.WaitGroup
	for range min(r.cfg.Senders, len(r.plan)) {
		senders.Go(func() {
			for {
				c := <-turns
				due := c.next(ctx)
				turns <- c
				if len(due) == 0 {
					return
				}
				r.sendBatch(context.WithoutCancel(ctx), due)
			}
		})
	}
	senders.Wait()
}

func (r *Replay) sendBatch(ctx context.Context, due Plan) {
	began := time.Now()
	r.books.sending(due, began)
	messages := make([]queue.Message, len(due))
	for i, s := range due {
		source, id := r.cfg.Naming.of(s)
		var cancels string
		if of := s.Event.cancels; of != nil && !r.cfg.Naming.Keep {
			cancels = r.cfg.Naming.id(*of)
		}
		messages[i] = queue.Message{Body: s.Event.body(source, id, cancels, began), Group: s.Event.Tenant}
	}
	errs := r.deps.Requests.Send(ctx, messages)
	r.books.answered(due, errs, time.Since(began))
}

// cursor is the unsent part of a plan. One sender at a time holds it.
type cursor struct {
	rest  Plan
	start time.Time
	tick  time.Duration
	last  time.Time // when requests were last taken
}

// next waits until requests are due and takes them: a full batch at once, a
// smaller one a tick after the last. It takes none at the end of the plan or of
// ctx.
func (c *cursor) next(ctx context.Context) Plan {
	if len(c.rest) == 0 {
		return nil
	}
	full := c.due(min(queue.MaxBatch, len(c.rest)) - 1)
	wake := later(c.due(0), earlier(full, c.last.Add(c.tick)))
	if !pause(ctx, time.Until(wake)) {
		return nil
	}
	c.last = time.Now()
	n := 1
	for n < min(queue.MaxBatch, len(c.rest)) && !c.due(n).After(c.last) {
		n++
	}
	due := c.rest[:n]
	c.rest = c.rest[n:]
	return due
}

func (c *cursor) due(i int) time.Time { return c.start.Add(c.rest[i].At) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
