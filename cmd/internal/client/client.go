// Package client is a story's end of the queues: it sends requests and receives
// results.
package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Client sends requests to one fleet, and receives its results.
type Client struct {
	Requests queue.Queue
	Results  queue.Queue
	PollWait time.Duration // of one long poll for results; 0: 1 s
	Pollers  int           // concurrent polls; 0: 1
}

// Send puts requests on the requests queue, and returns an error or nil for
// each.
func (c *Client) Send(ctx context.Context, requests ...run.Request) []error {
	errs := make([]error, len(requests))
	messages := make([]queue.Message, 0, len(requests))
	at := make([]int, 0, len(requests))
	for i, r := range requests {
		body, err := r.Encode()
		if err != nil {
			errs[i] = err
			continue
		}
		messages, at = append(messages, queue.Message{Body: body, Group: r.Tenant}), append(at, i)
	}
	for i, err := range c.Requests.Send(ctx, messages) {
		if err != nil {
			errs[at[i]] = fmt.Errorf("send request %s: %w", requests[at[i]].ID, err)
		}
	}
	return errs
}

// Received is a result, and when it was received.
type Received struct {
	run.Result
	At time.Time
}

// Consume calls take with each result until ctx ends, one at a time. If take
// returns false, the result belongs to another consumer and goes back to the
// queue. If others consume the same queue, this can delay their results by a
// moment; there it is a tool for developers only.
func (c *Client) Consume(ctx context.Context, take func(Received) (mine bool)) error {
	failed := make(chan error, max(1, c.Pollers))
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range max(1, c.Pollers) {
		wg.Go(func() {
			if err := c.poll(ctx, &mu, take); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// visibility is the visibility timeout of a received result: long enough to see
// to which consumer it belongs.
const visibility = 10 * time.Second

func (c *Client) poll(ctx context.Context, mu *sync.Mutex, take func(Received) bool) error {
	wait := c.PollWait
	if wait == 0 {
		wait = time.Second
	}
	for ctx.Err() == nil {
		ds, err := c.Results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: wait, Visibility: visibility})
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("receive results: %w", err)
		}
		var mine, others []queue.Delivery
		for _, d := range ds {
			res, err := run.DecodeResult(d.Body)
			if err != nil {
				return fmt.Errorf("message %s on queue %s: %w", d.MessageID, c.Results.Name(), err)
			}
			mu.Lock()
			took := take(Received{Result: res, At: d.ReceivedAt})
			mu.Unlock()
			if took {
				mine = append(mine, d)
			} else {
				others = append(others, d)
			}
		}
		// Results are deleted even if ctx has ended: they were taken.
		settle := context.WithoutCancel(ctx)
		c.Results.Delete(settle, mine)
		c.Results.Extend(settle, others, time.Second)
	}
	return nil
}
