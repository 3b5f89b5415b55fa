package sqsqueue_test

import (
	"context"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main() // the embedded stack probes it
	os.Exit(mototest.Run(m))
}

// clientOf speaks to an endpoint as production does.
func clientOf(url string) *sqs.Client {
	cfg := mototest.Config()
	cfg.BaseEndpoint = aws.String(url)
	return sqsqueue.NewClient(cfg)
}

// open ensures the queue of that name, and opens it.
func open(t testing.TB, client *sqs.Client, name string, want map[string]string) *sqsqueue.Queue {
	t.Helper()
	if _, err := sqsqueue.EnsureOne(t.Context(), client, name, want); err != nil {
		t.Fatal(err)
	}
	q, err := sqsqueue.Open(t.Context(), client, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		url, err := client.GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: &name})
		if err == nil {
			client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: url.QueueUrl})
		}
	})
	return q
}
