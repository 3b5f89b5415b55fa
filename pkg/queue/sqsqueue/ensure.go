package sqsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

const (
	// MaxReceiveCount is how many times a message is received before SQS moves
	// it to its dead-letter queue. 1000 is SQS's maximum. It is so high because
	// receives that were put back count too. The fleet counts attempts itself,
	// and buries a message with a reason long before; SQS's redrive only ends
	// messages that would otherwise be received for ever.
	MaxReceiveCount = 1000

	// Retention in seconds. A message keeps its age when it moves to a
	// dead-letter queue, so that queue must keep messages longer.
	retention           = "345600"  // 4 days
	deadLetterRetention = "1209600" // 14 days, the most that SQS takes

	maxMessageSize = "1048576" // 1 MiB; queues made before August 2025 have 256 KiB
)

// Admin is what Ensure uses of *sqs.Client.
type Admin interface {
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	SetQueueAttributes(context.Context, *sqs.SetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error)
}

var _ Admin = (*sqs.Client)(nil)

// Ensure makes the missing queues of a fleet, and sets the attributes that the
// fleet relies on: redrive, retention and the largest message size. It may be
// called again at any time, also by several processes at once. It removes
// nothing.
func Ensure(ctx context.Context, client Admin, names queue.Names) error {
	redrives := names.Redrives()
	dead := map[string]bool{names.RequestsDLQ: true, names.PartitionDLQ: true}
	arns := map[string]string{}
	for _, name := range names.All() {
		want := map[string]string{
			string(types.QueueAttributeNameMaximumMessageSize):     maxMessageSize,
			string(types.QueueAttributeNameMessageRetentionPeriod): retention,
		}
		if dead[name] {
			want[string(types.QueueAttributeNameMessageRetentionPeriod)] = deadLetterRetention
		}
		if to := redrives[name]; to != "" {
			want[string(types.QueueAttributeNameRedrivePolicy)] = redrivePolicy(arns[to], MaxReceiveCount)
		}
		arn, err := EnsureOne(ctx, client, name, want)
		if err != nil {
			return err
		}
		arns[name] = arn
	}
	return nil
}

// EnsureOne makes one queue if it is missing, sets the attributes that differ
// from want, and returns the queue's ARN.
func EnsureOne(ctx context.Context, client Admin, name string, want map[string]string) (arn string, err error) {
	// Without attributes: SQS refuses to create a queue that exists with
	// others.
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("create queue %s: %w", name, err)
	}
	has, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return "", fmt.Errorf("read attributes of %s: %w", name, err)
	}
	arn = has.Attributes[string(types.QueueAttributeNameQueueArn)]
	missing := map[string]string{}
	for attribute, value := range want {
		if !same(has.Attributes[attribute], value) {
			missing[attribute] = value
		}
	}
	if len(missing) == 0 {
		return arn, nil
	}
	if err := set(ctx, client, made.QueueUrl, missing); err != nil {
		return "", fmt.Errorf("set attributes of %s: %w", name, err)
	}
	return arn, nil
}

// set sets attributes. If SQS refuses them because of a message size of 1 MiB,
// it sets the others, and the queue keeps its own limit, which Open reads.
func set(ctx context.Context, client Admin, url *string, attributes map[string]string) error {
	_, err := client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: attributes})
	var api smithy.APIError
	if _, large := attributes[string(types.QueueAttributeNameMaximumMessageSize)]; !large || !errors.As(err, &api) ||
		api.ErrorCode() != "InvalidAttributeValue" && api.ErrorCode() != "InvalidParameterValue" {
		return err
	}
	delete(attributes, string(types.QueueAttributeNameMaximumMessageSize))
	if len(attributes) == 0 {
		return nil
	}
	_, err = client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: attributes})
	return err
}

func redrivePolicy(arn string, maxReceiveCount int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, maxReceiveCount)
}

// same compares an attribute with the wanted value. It compares JSON by
// content, since SQS formats a policy in its own way, with numbers as strings.
func same(has, want string) bool {
	if has == want {
		return true
	}
	var a, b map[string]any
	if json.Unmarshal([]byte(has), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || len(a) != len(b) {
		return false
	}
	for k := range b {
		if fmt.Sprint(a[k]) != fmt.Sprint(b[k]) {
			return false
		}
	}
	return true
}
