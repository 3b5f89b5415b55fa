// Package sqstest tests an SQS against the contract of queues, through
// sqsqueue.
package sqstest

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/queuetest"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

var opened atomic.Int64

// Run tests the client's SQS against the contract, except for the exceptions.
func Run(t *testing.T, client *sqs.Client, exceptions ...queuetest.Exception) {
	t.Helper()
	queuetest.Run(t, func(t *testing.T, o queuetest.Options) queue.Queue {
		want := map[string]string{
			string(types.QueueAttributeNameMaximumMessageSize): strconv.Itoa(cmp.Or(o.MaxBytes, queue.MaxMessageBytes)),
		}
		if o.DeadLetter != nil {
			arn, err := sqsqueue.EnsureOne(t.Context(), client, o.DeadLetter.Name(), nil)
			if err != nil {
				t.Fatal(err)
			}
			want[string(types.QueueAttributeNameRedrivePolicy)] =
				fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, o.MaxReceiveCount)
		}
		return Open(t, client, fmt.Sprint("contract-", opened.Add(1)), want)
	}, exceptions...)
}

// Open makes and opens the queue of that name. It is deleted with the test.
func Open(t testing.TB, client *sqs.Client, name string, want map[string]string) *sqsqueue.Queue {
	t.Helper()
	if _, err := sqsqueue.EnsureOne(t.Context(), client, name, want); err != nil {
		t.Fatal(err)
	}
	q, err := sqsqueue.Open(t.Context(), client, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		url, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		if err == nil {
			_, _ = client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: url.QueueUrl})
		}
	})
	return q
}
