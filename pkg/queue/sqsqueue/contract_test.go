package sqsqueue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/queuetest"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

var opened atomic.Int64

// opener opens queues of their own names for the contract suite.
func opener(client *sqs.Client) queuetest.Open {
	return func(t *testing.T, o queuetest.Options) queue.Queue {
		want := map[string]string{}
		if o.DeadLetter != nil {
			arn, err := sqsqueue.EnsureOne(t.Context(), client, o.DeadLetter.Name(), nil)
			if err != nil {
				t.Fatal(err)
			}
			want[string(types.QueueAttributeNameRedrivePolicy)] =
				fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, o.MaxReceiveCount)
		}
		return open(t, client, fmt.Sprint("contract-", opened.Add(1)), want)
	}
}

func TestKeepsTheContractOnMoto(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, opener(clientOf(mototest.URL)),
		queuetest.Exception{
			Claim: "ExtendOfADeliveryThatWasLostIsErrGone",
			Reason: "moto takes every handle that a message ever had. The fleet then learns late that a " +
				"delivery is lost; the ledger's claim is what keeps the run from a second owner.",
		},
		queuetest.Exception{
			Claim: "ReceiversNeverShareADelivery",
			Reason: "moto's threads look for visible messages without a lock, so two polls of one instant may " +
				"share one, as SQS too may deliver twice now and then.",
		})
}

func TestKeepsTheContractOnTheEmbeddedStack(t *testing.T) {
	t.Parallel()
	stack := embedded(t)
	queuetest.Run(t, opener(sqsqueue.NewClient(stack.AWSConfig())))
}

func embedded(t testing.TB) *localaws.Stack {
	t.Helper()
	stack, err := localaws.Start(t.Context(), localaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := stack.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return stack
}
