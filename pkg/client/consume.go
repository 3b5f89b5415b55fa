package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Received is a result, and when it was received.
type Received struct {
	run.Result
	At time.Time
}

// Handler handles one result. If it returns nil, the result is deleted. With
// ErrNotMine the result is left to another consumer at once; with any other
// error it comes again once its visibility has run out.
type Handler func(context.Context, Received) error

// ErrNotMine is what a Handler returns for a result that another consumer of
// the same queue waits for. This can delay that result by a second, so fleets
// in production have one consumer, or several that handle any result.
var ErrNotMine = errors.New("client: the result belongs to another consumer")

// putBackAfter is the time after which a result that was not mine is visible
// again.
const putBackAfter = time.Second

// Consume calls handle with each result until ctx ends, and then returns nil.
// Results of one poll are handled one after the other; with several Pollers,
// handle runs concurrently. Consume fails where results cannot be received. A
// handler that has begun ends also if ctx does: its context lasts.
//
// A message that is no result is reported and left on the queue.
func (c *Client) Consume(ctx context.Context, handle Handler) error {
	polls, ctx := errgroup.WithContext(ctx)
	for range max(1, c.Pollers) {
		polls.Go(func() error { return c.poll(ctx, handle) })
	}
	return polls.Wait()
}

func (c *Client) poll(ctx context.Context, handle Handler) error {
	poll := queue.Poll{Max: queue.MaxBatch, Wait: orDefault(c.PollWait, time.Second), Visibility: orDefault(c.Visibility, 30*time.Second)}
	for ctx.Err() == nil {
		ds, err := c.Results.Receive(ctx, poll)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("receive results: %w", err)
		}
		c.settle(context.WithoutCancel(ctx), ds, handle)
	}
	return nil
}

// settle handles the results of one poll, deletes those that were handled and
// puts back those that belong to others. ctx does not end: the results are
// taken.
func (c *Client) settle(ctx context.Context, ds []queue.Delivery, handle Handler) {
	var handled, others []queue.Delivery
	for _, d := range ds {
		switch err := c.handle(ctx, d, handle); {
		case err == nil:
			handled = append(handled, d)
		case errors.Is(err, ErrNotMine):
			others = append(others, d)
		default:
			c.report(err)
		}
	}
	for i, err := range c.Results.Delete(ctx, handled) {
		if err != nil {
			c.report(fmt.Errorf("delete message %s of queue %s, which was handled: %w", handled[i].MessageID, c.Results.Name(), err))
		}
	}
	c.Results.Extend(ctx, others, putBackAfter)
}

func (c *Client) handle(ctx context.Context, d queue.Delivery, handle Handler) error {
	res, err := run.DecodeResult(d.Body)
	if err != nil {
		return fmt.Errorf("message %s on queue %s: %w", d.MessageID, c.Results.Name(), err)
	}
	if err := handle(ctx, Received{Result: res, At: d.ReceivedAt}); err != nil {
		return fmt.Errorf("handle result %s of request %q: %w", res.ID, res.Subject, err)
	}
	return nil
}

func (c *Client) report(err error) {
	if c.Report != nil {
		c.Report(err)
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
