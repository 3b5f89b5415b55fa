package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// Options name a fleet.
type Options struct {
	Prefix string // of the queues' names, as the fleet has it; empty: scriptfleet
	// Bucket is the fleet's bucket for bodies that are too large for a queue.
	// Without one, Send refuses such a request, and a result that travels
	// through the bucket is reported and left on the queue.
	Bucket string
}

// Open opens the queues of a fleet on AWS, or at the endpoint that cfg or
// AWS_ENDPOINT_URL names. It makes four calls of SQS, and fails if a queue does
// not exist.
func Open(ctx context.Context, cfg aws.Config, o Options) (*Client, error) {
	if o.Prefix == "" {
		o.Prefix = "scriptfleet"
	}
	names := queue.NamesOf(o.Prefix, 0)
	api := sqsqueue.NewClient(cfg)
	requests, err := open(ctx, api, names.Requests)
	if err != nil {
		return nil, err
	}
	results, err := open(ctx, api, names.Results)
	if err != nil {
		return nil, err
	}
	if o.Bucket != "" {
		store := s3store.New(s3store.NewClient(cfg), o.Bucket)
		requests = claimcheck.Wrap(requests, store, claimcheck.Requests(o.Prefix))
		results = claimcheck.Wrap(results, store, claimcheck.Results(o.Prefix))
	}
	return &Client{Requests: requests, Results: results}, nil
}

func open(ctx context.Context, api *sqs.Client, name string) (queue.Queue, error) {
	q, err := sqsqueue.Open(ctx, api, name)
	if missing := (*types.QueueDoesNotExist)(nil); errors.As(err, &missing) {
		err = fmt.Errorf("%w: is the prefix that of the fleet?", err)
	}
	return q, err
}
