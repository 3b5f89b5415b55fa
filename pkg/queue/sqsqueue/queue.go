// Package sqsqueue implements package queue on a standard SQS queue.
//
//   - A slice of entries is split into calls of at most ten entries and at most
//     the queue's MaximumMessageSize in sum. Up to eight of them run at once.
//   - A call can succeed although entries of it fail, so every entry gets its
//     own error. An entry that the answer does not mention has failed.
//   - The calls of every run are made without the SDK's client, if they go well
//     (see direct).
//   - Only the SDK retries, and only whole calls (see [NewClient]). An entry's
//     error goes to the caller, which decides whether to try again.
//   - Durations on the wire are whole seconds, rounded up: a delivery is ours
//     for at least the visibility that was asked for. Zero stays zero.
//   - Receive finishes a poll that it has begun, also when ctx ends: SQS may be
//     about to return messages, which would otherwise stay hidden until their
//     visibility runs out. So Receive may return up to p.Wait (and 15 s for
//     retries) after the end of ctx, with deliveries. A caller that drains must
//     wait for it and put them back.
//
// SQS answers a Delete with an old handle with success, and deletes nothing. So
// a nil error of Delete does not prove that the message is deleted. Extend
// fails with queue.ErrGone in that case.
package sqsqueue

import (
	"context"
	"fmt"
	"path"
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
	direct   *direct
	name     string
	url      string
	maxBytes int
}

var _ queue.Queue = (*Queue)(nil)

// Open returns the queue of that name, and reads its MaximumMessageSize. It
// fails if there is no such queue.
func Open(ctx context.Context, client API, name string) (*Queue, error) {
	out, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", name, err)
	}
	return OpenURL(ctx, client, *out.QueueUrl)
}

// OpenURL returns the queue with that URL, which may be of another account. The
// client has to be one of the queue's region.
func OpenURL(ctx context.Context, client API, url string) (_ *Queue, err error) {
	name := path.Base(url)
	q := &Queue{client: client, direct: newDirect(ctx, client, url), name: name, url: url}
	if q.maxBytes, err = q.limit(ctx); err != nil {
		return nil, fmt.Errorf("open queue %s: %w", name, err)
	}
	return q, nil
}

// limit reads the queue's MaximumMessageSize. It is 256 KiB on queues that were
// made before August 2025.
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

// MaxBytes returns the queue's MaximumMessageSize at the time of Open.
func (q *Queue) MaxBytes() int { return q.maxBytes }

// Name returns the queue's name, without account and region.
func (q *Queue) Name() string { return q.name }

// Depth reads the queue's approximate counts, which may be some seconds old.
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
