package sqsqueue

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Send puts messages on the queue. It does not send messages that
// Message.Validate refuses, since they would make SQS refuse their whole call.
// A message whose call failed may be on the queue nevertheless.
func (q *Queue) Send(ctx context.Context, ms []queue.Message) []error {
	errs := make([]error, len(ms))
	var valid []int
	for i := range ms {
		if errs[i] = ms[i].Validate(q.maxBytes); errs[i] == nil {
			valid = append(valid, i)
		}
	}
	size := func(i int) int { return ms[i].Size() }
	inCalls(split(valid, size, q.maxBytes), func(call []int) {
		q.sendCall(ctx, ms, call, errs)
	})
	return errs
}

func (q *Queue) sendCall(ctx context.Context, ms []queue.Message, call []int, errs []error) {
	a := answers{verb: "send to", queue: q.name, call: call, errs: errs}
	if out, ok := q.direct.send(ctx, ms, call); ok {
		out.settle(&a, sendEntryError)
		return
	}
	in := &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: make([]types.SendMessageBatchRequestEntry, len(call))}
	for n, i := range call {
		in.Entries[n] = entryOf(&ms[i], id(n))
	}
	out, err := q.client.SendMessageBatch(ctx, in)
	if err != nil {
		err = sendError(err)
		if errors.Is(err, queue.ErrTooLarge) && len(call) > 1 {
			for _, i := range call { // send them one by one to find the message that is too large
				q.sendCall(ctx, ms, []int{i}, errs)
			}
			return
		}
		a.failAll(err)
		return
	}
	for i := range out.Successful {
		a.succeed(out.Successful[i].Id)
	}
	a.settle(out.Failed, sendEntryError)
}

func entryOf(m *queue.Message, id *string) types.SendMessageBatchRequestEntry {
	body := string(m.Body)
	e := types.SendMessageBatchRequestEntry{Id: id, MessageBody: &body, DelaySeconds: seconds(m.Delay)}
	if m.Group != "" {
		e.MessageGroupId = &m.Group
	}
	if len(m.Attributes) > 0 {
		e.MessageAttributes = make(map[string]types.MessageAttributeValue, len(m.Attributes))
	}
	for name, value := range m.Attributes {
		kind := queue.DataType(name)
		e.MessageAttributes[name] = types.MessageAttributeValue{DataType: &kind, StringValue: &value}
	}
	if m.TraceHeader != "" {
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &m.TraceHeader},
		}
	}
	return e
}
