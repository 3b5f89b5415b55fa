package sqsqueue_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// counted counts the calls of SetQueueAttributes.
type counted struct {
	*sqs.Client
	sets atomic.Int64
}

func (c *counted) SetQueueAttributes(ctx context.Context, in *sqs.SetQueueAttributesInput, o ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	c.sets.Add(1)
	return c.Client.SetQueueAttributes(ctx, in, o...)
}

func TestEnsureMakesAFleetsQueuesOnceAndForAll(t *testing.T) {
	t.Run("Moto", func(t *testing.T) { ensured(t, clientOf(mototest.URL)) })
	t.Run("EmbeddedStack", func(t *testing.T) { ensured(t, sqsqueue.NewClient(stack.Start(t, localaws.Config{}).AWSConfig())) })
}

func ensured(t *testing.T, plain *sqs.Client) {
	client := &counted{Client: plain}
	names := queue.NamesOf("ensured", 3)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := sqsqueue.Ensure(t.Context(), client, names); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	before := client.sets.Load()
	if err := sqsqueue.Ensure(t.Context(), client, names); err != nil {
		t.Error(err)
	}
	if again := client.sets.Load() - before; again != 0 {
		t.Errorf("%d queues were changed though all was as it should be", again)
	}
	for name, dead := range names.Redrives() {
		url, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameRedrivePolicy},
		})
		if err != nil || !strings.Contains(out.Attributes["RedrivePolicy"], ":"+dead+`"`) {
			t.Errorf("%s: redrive policy %v, %v, want it to name %s", name, out.Attributes, err, dead)
		}
	}
	if _, err := sqsqueue.Open(t.Context(), client, names.Results); err != nil {
		t.Error(err)
	}
}

// small is an SQS that refuses a message size of 1 MiB, as some regions did.
type small struct{ *sqs.Client }

func (c small) SetQueueAttributes(ctx context.Context, in *sqs.SetQueueAttributesInput, o ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	if n, _ := strconv.Atoi(in.Attributes["MaximumMessageSize"]); n > 256<<10 {
		return nil, &types.InvalidAttributeValue{}
	}
	return c.Client.SetQueueAttributes(ctx, in, o...)
}

func TestEnsureLeavesTheLimitWhereLargeMessagesAreRefused(t *testing.T) {
	client := sqsqueue.NewClient(stack.Start(t, localaws.Config{}).AWSConfig())
	names := queue.NamesOf("small", 1)
	for _, name := range names.All() {
		if _, err := sqsqueue.EnsureOne(t.Context(), client, name, map[string]string{"MaximumMessageSize": "262144"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sqsqueue.Ensure(t.Context(), small{client}, names); err != nil {
		t.Fatal(err)
	}
	q, err := sqsqueue.Open(t.Context(), client, names.Requests)
	if err != nil || q.MaxBytes() != 256<<10 {
		t.Fatalf("the queue takes %d bytes, %v", q.MaxBytes(), err)
	}
	url, _ := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &names.Requests})
	out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameRedrivePolicy},
	})
	if err != nil || out.Attributes["RedrivePolicy"] == "" {
		t.Errorf("the redrive policy is %v, %v, want the fleet's", out.Attributes, err)
	}
}
