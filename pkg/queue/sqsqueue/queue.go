// Package sqsqueue keeps the promises of package queue on a standard SQS queue.
//
//   - Any number of entries: they are split into calls of at most ten entries
//     and, in sum, of the queue's MaximumMessageSize, a few of which are under way at once.
//   - An answer of 200 may hide failures: every entry gets its own error, and one
//     that the answer does not mention has failed.
//   - There is one layer of retry, the SDK's, and it is for whole calls (see
//     [NewClient]). An entry that failed comes back to the caller, who alone knows
//     whether trying again is worth it.
//   - Durations are whole seconds on the wire and are rounded up: a delivery is
//     ours at least as long as was asked for. Zero stays zero.
//   - A poll that was begun is let finish, whatever becomes of the caller's
//     context, for SQS may have handed out messages that would then stay hidden
//     until their visibility runs out. So Receive may return up to its wait after
//     its context has ended, and may then still bring deliveries; whoever drains
//     waits for it and puts them back.
//
// SQS answers a Delete with an old handle with success and deletes nothing; so
// here a nil of Delete does not prove that the message is gone. Extend does fail
// with queue.ErrGone.
package sqsqueue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// API is what a Queue uses of *sqs.Client.
type API interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

var _ API = (*sqs.Client)(nil)

// Queue is a queue.Queue on SQS.
type Queue struct {
	client   API
	name     string
	url      string
	maxBytes int
}

var _ queue.Queue = (*Queue)(nil)

// Open finds the queue of that name, and reads how large its messages may be. It
// fails where there is none.
func Open(ctx context.Context, client API, name string) (*Queue, error) {
	out, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", name, err)
	}
	q := &Queue{client: client, name: name, url: *out.QueueUrl}
	if q.maxBytes, err = q.limit(ctx); err != nil {
		return nil, fmt.Errorf("open queue %s: %w", name, err)
	}
	return q, nil
}

// limit reads the queue's MaximumMessageSize: 256 KiB on many queues that were
// made before SQS took more.
func (q *Queue) limit(ctx context.Context) (int, error) {
	const name = types.QueueAttributeNameMaximumMessageSize
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	n, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return min(n, queue.MaxMessageBytes), nil
}

// MaxBytes is the queue's MaximumMessageSize when it was opened.
func (q *Queue) MaxBytes() int { return q.maxBytes }

// Name is the queue's name, without its account and region.
func (q *Queue) Name() string { return q.name }

// Depth reads the queue's approximate counts; they may lag by some seconds.
func (q *Queue) Depth(ctx context.Context) (queue.Depth, error) {
	var d queue.Depth
	counts := map[types.QueueAttributeName]*int{
		types.QueueAttributeNameApproximateNumberOfMessages:           &d.Visible,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible: &d.InFlight,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed:    &d.Delayed,
	}
	in := &sqs.GetQueueAttributesInput{QueueUrl: &q.url}
	for name := range counts {
		in.AttributeNames = append(in.AttributeNames, name)
	}
	out, err := q.client.GetQueueAttributes(ctx, in)
	if err != nil {
		return queue.Depth{}, fmt.Errorf("read depth of %s: %w", q.name, err)
	}
	for name, count := range counts {
		if *count, err = strconv.Atoi(out.Attributes[string(name)]); err != nil {
			return queue.Depth{}, fmt.Errorf("read depth of %s: %s: %w", q.name, name, err)
		}
	}
	return d, nil
}

// seconds rounds up.
func seconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second)
}
