package sqsqueue

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Delete deletes the messages of the deliveries.
func (q *Queue) Delete(ctx context.Context, ds []queue.Delivery) []error {
	errs := make([]error, len(ds))
	inCalls(split(upTo(len(ds)), nil, 0), func(call []int) {
		a := answers{verb: "delete from", queue: q.name, call: call, errs: errs}
		if out, ok := q.direct.delete(ctx, ds, call); ok {
			out.settle(&a, settleEntryError)
			return
		}
		in := &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: make([]types.DeleteMessageBatchRequestEntry, len(call))}
		for n, i := range call {
			in.Entries[n] = types.DeleteMessageBatchRequestEntry{Id: id(n), ReceiptHandle: &ds[i].Handle}
		}
		out, err := q.client.DeleteMessageBatch(ctx, in)
		if err != nil {
			a.failAll(err)
			return
		}
		for i := range out.Successful {
			a.succeed(out.Successful[i].Id)
		}
		a.settle(out.Failed, settleEntryError)
	})
	return errs
}

// Extend makes the deliveries ours for visibility from now on.
func (q *Queue) Extend(ctx context.Context, ds []queue.Delivery, visibility time.Duration) []error {
	errs := make([]error, len(ds))
	inCalls(split(upTo(len(ds)), nil, 0), func(call []int) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: make([]types.ChangeMessageVisibilityBatchRequestEntry, len(call))}
		for n, i := range call {
			in.Entries[n] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: id(n), ReceiptHandle: &ds[i].Handle, VisibilityTimeout: seconds(visibility),
			}
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, in)
		a := answers{verb: "extend on", queue: q.name, call: call, errs: errs}
		if err != nil {
			a.failAll(err)
			return
		}
		for i := range out.Successful {
			a.succeed(out.Successful[i].Id)
		}
		a.settle(out.Failed, settleEntryError)
	})
	return errs
}
