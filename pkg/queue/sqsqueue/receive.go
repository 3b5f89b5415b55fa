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

// pollMargin is how much longer than p.Wait a Receive may take, retries
// included.
const pollMargin = 15 * time.Second

var (
	allAttributes    = []string{"All"}
	systemAttributes = []types.MessageSystemAttributeName{
		types.MessageSystemAttributeNameMessageGroupId,
		types.MessageSystemAttributeNameApproximateReceiveCount,
		types.MessageSystemAttributeNameSentTimestamp,
		types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp,
		types.MessageSystemAttributeNameAWSTraceHeader,
	}
)

// Receive polls once. It does not begin if ctx has ended. If ctx ends later, it
// finishes the poll.
func (q *Queue) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Wait+pollMargin)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &q.url,
		MaxNumberOfMessages:         int32(p.Max),
		WaitTimeSeconds:             seconds(p.Wait),
		VisibilityTimeout:           seconds(p.Visibility),
		MessageAttributeNames:       allAttributes,
		MessageSystemAttributeNames: systemAttributes,
	})
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", q.name, err)
	}
	now := time.Now()
	ds := make([]queue.Delivery, len(out.Messages))
	for i := range out.Messages {
		ds[i] = deliveryOf(&out.Messages[i], now)
	}
	return ds, nil
}

func deliveryOf(m *types.Message, now time.Time) queue.Delivery {
	count, _ := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	return queue.Delivery{
		MessageID:    text(m.MessageId),
		Handle:       text(m.ReceiptHandle),
		Body:         []byte(text(m.Body)),
		Group:        m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
		Attributes:   attributesOf(m),
		ReceiveCount: max(count, 1),
		SentAt:       stamp(m, types.MessageSystemAttributeNameSentTimestamp),
		FirstAt:      stamp(m, types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp),
		ReceivedAt:   now,
		TraceHeader:  m.Attributes[string(types.MessageSystemAttributeNameAWSTraceHeader)],
	}
}

func attributesOf(m *types.Message) map[string]string {
	if len(m.MessageAttributes) == 0 {
		return nil
	}
	all := make(map[string]string, len(m.MessageAttributes))
	for name, value := range m.MessageAttributes {
		if value.StringValue != nil {
			all[name] = *value.StringValue
		} else {
			all[name] = string(value.BinaryValue)
		}
	}
	return all
}

// stamp reads a system attribute in milliseconds since 1970. It is the zero
// time if the attribute is missing.
func stamp(m *types.Message, name types.MessageSystemAttributeName) time.Time {
	ms, err := strconv.ParseInt(m.Attributes[string(name)], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
