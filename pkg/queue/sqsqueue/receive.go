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
	if ds, ok := q.direct.receive(ctx, p); ok {
		return ds, nil
	}
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
	ms := make([]message, len(out.Messages))
	for i := range out.Messages {
		ms[i] = ofSDK(&out.Messages[i])
	}
	return deliveries(ms), nil
}

// message is a message as it comes, with the attributes that were asked for.
type message struct {
	MessageID           string `json:"MessageId"`
	ReceiptHandle, Body string

	Attributes struct {
		MessageGroupID string `json:"MessageGroupId"`

		ApproximateReceiveCount, SentTimestamp, ApproximateFirstReceiveTimestamp, AWSTraceHeader string
	}
	MessageAttributes map[string]messageAttribute
}

type messageAttribute struct {
	StringValue *string
	BinaryValue []byte
}

func ofSDK(from *types.Message) message {
	m := message{MessageID: text(from.MessageId), ReceiptHandle: text(from.ReceiptHandle), Body: text(from.Body),
		MessageAttributes: make(map[string]messageAttribute, len(from.MessageAttributes))}
	for name, to := range map[types.MessageSystemAttributeName]*string{
		types.MessageSystemAttributeNameMessageGroupId:                   &m.Attributes.MessageGroupID,
		types.MessageSystemAttributeNameApproximateReceiveCount:          &m.Attributes.ApproximateReceiveCount,
		types.MessageSystemAttributeNameSentTimestamp:                    &m.Attributes.SentTimestamp,
		types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp: &m.Attributes.ApproximateFirstReceiveTimestamp,
		types.MessageSystemAttributeNameAWSTraceHeader:                   &m.Attributes.AWSTraceHeader,
	} {
		*to = from.Attributes[string(name)]
	}
	for name, value := range from.MessageAttributes {
		m.MessageAttributes[name] = messageAttribute{value.StringValue, value.BinaryValue}
	}
	return m
}

// deliveries of messages that have come now.
func deliveries(ms []message) []queue.Delivery {
	now := time.Now()
	ds := make([]queue.Delivery, len(ms))
	for i, m := range ms {
		count, _ := strconv.Atoi(m.Attributes.ApproximateReceiveCount)
		ds[i] = queue.Delivery{
			MessageID:    m.MessageID,
			Handle:       m.ReceiptHandle,
			Body:         []byte(m.Body),
			Group:        m.Attributes.MessageGroupID,
			TraceHeader:  m.Attributes.AWSTraceHeader,
			Attributes:   attributes(m.MessageAttributes),
			ReceiveCount: max(count, 1),
			SentAt:       stamp(m.Attributes.SentTimestamp),
			FirstAt:      stamp(m.Attributes.ApproximateFirstReceiveTimestamp),
			ReceivedAt:   now,
		}
	}
	return ds
}

func attributes(values map[string]messageAttribute) map[string]string {
	if len(values) == 0 {
		return nil
	}
	all := make(map[string]string, len(values))
	for name, value := range values {
		if value.StringValue != nil {
			all[name] = *value.StringValue
		} else {
			all[name] = string(value.BinaryValue)
		}
	}
	return all
}

// stamp reads milliseconds since 1970. It is the zero time for anything else.
func stamp(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
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
