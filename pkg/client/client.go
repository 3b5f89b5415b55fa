package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// Client sends requests to one fleet and receives its results. Its methods are
// safe for concurrent use; its fields must not change during a call.
type Client struct {
	Requests queue.Queue
	Results  queue.Queue

	PollWait time.Duration // of one long poll for results, up to 20 s; 0: 1 s. Consume ends that much later than its context.
	Pollers  int           // concurrent polls for results; 0: 1
	// Visibility is how long SQS hides the results of a poll, of which there
	// are up to ten: they must be handled by then, or others receive them too.
	// 0: 30 s.
	Visibility time.Duration
	// Report gets the errors that do not end Consume: of a handler, and of
	// messages that are no results. It may be called concurrently. Nil: nobody
	// gets them.
	Report func(error)
}

// ErrNotAnswerable is the error of Send for a request without a valid tenant,
// source or id: no result could name it.
var ErrNotAnswerable = errors.New("client: the request has no valid tenant, source or id, so no result could answer it")

// Send puts requests on the requests queue. It returns an error for each
// request, in order: nil where it was sent. A request whose error is neither
// ErrNotAnswerable nor [queue.Refused] may be on the queue nevertheless; send it
// again.
//
// Send does not check more of a request than that it can be answered: the fleet
// does, and a request that it refuses has a result with the status rejected.
//
// A request without a traceparent gets that of the context's current
// OpenTelemetry span, if there is one.
func (c *Client) Send(ctx context.Context, requests ...run.Request) []error {
	errs := make([]error, len(requests))
	messages := make([]queue.Message, 0, len(requests))
	at := make([]int, 0, len(requests))
	for i, r := range requests {
		if r.Traceparent == "" {
			r.Traceparent = trace.Traceparent(ctx)
		}
		body, err := encode(r)
		if err != nil {
			errs[i] = fmt.Errorf("send request %q: %w", r.ID, err)
			continue
		}
		messages, at = append(messages, queue.Message{Body: body, Group: r.Tenant}), append(at, i)
	}
	for i, err := range c.Requests.Send(ctx, messages) {
		if err != nil {
			errs[at[i]] = fmt.Errorf("send request %q: %w", requests[at[i]].ID, err)
		}
	}
	return errs
}

func encode(r run.Request) ([]byte, error) {
	if !r.Attributable() {
		return nil, ErrNotAnswerable
	}
	return r.Encode()
}
