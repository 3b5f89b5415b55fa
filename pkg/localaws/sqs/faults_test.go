package sqs_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

// receivedOne is the single message of a receive.
func receivedOne(t *testing.T, client *awssqs.Client, url *string) types.Message {
	t.Helper()
	got, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: url})
	if err != nil || len(got.Messages) != 1 {
		t.Fatal(got, err)
	}
	return got.Messages[0]
}

func TestFaultsMakeCallsGoWrong(t *testing.T) {
	server, client := served(t, sqs.Config{})
	ctx := t.Context()
	url := created(t, client, "q", nil)
	once := func(o *awssqs.Options) { o.RetryMaxAttempts = 1 }
	send := func() error {
		_, err := client.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("b")}, once)
		return err
	}
	faults := server.Faults()

	remove := faults.Add(sqs.Fault{Kind: sqs.Refuse, Op: "SendMessage", Queue: "q"})
	if err := send(); kind(err) != "ServiceUnavailable" {
		t.Error("refused:", err)
	}
	remove()

	faults.Add(sqs.Fault{Kind: sqs.Entries, Op: "SendMessage", Times: 1})
	out, err := client.SendMessageBatch(ctx, &awssqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: aws.String("a")}, {Id: aws.String("b"), MessageBody: aws.String("b")}}})
	if err != nil || len(out.Failed) != 1 || *out.Failed[0].Id != "a" || out.Failed[0].SenderFault || len(out.Successful) != 1 {
		t.Errorf("a batch that fails in part: %+v %v", out, err)
	}

	faults.Add(sqs.Fault{Kind: sqs.Twice, Times: 1})
	first, second := receivedOne(t, client, url), receivedOne(t, client, url)
	if *first.MessageId != *second.MessageId {
		t.Error("it was not delivered twice")
	}

	faults.Add(sqs.Fault{Kind: sqs.Lose, Op: "DeleteMessage", Times: 1})
	del := &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: second.ReceiptHandle}
	if _, err := client.DeleteMessage(ctx, del); err != nil || server.Stats()[0].InFlight != 1 {
		t.Error("a lost delete:", err, server.Stats())
	}
	if _, err := client.DeleteMessage(ctx, del); err != nil || server.Stats()[0].InFlight != 0 {
		t.Error("the delete after it:", err, server.Stats())
	}
	faults.Add(sqs.Fault{Kind: sqs.Refuse, Probability: 1})
	faults.Clear()
	if err := send(); err != nil {
		t.Error("cleared:", err)
	}
}
