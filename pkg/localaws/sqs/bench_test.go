package sqs_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

func BenchmarkBatchesOfTenThroughTheSDK(b *testing.B) {
	_, client := served(b, sqs.Config{})
	url := created(b, client, "q", nil)
	body := strings.Repeat("x", 1024)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			in := &awssqs.SendMessageBatchInput{QueueUrl: url}
			for i := range 10 {
				in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &body, MessageGroupId: aws.String("acme")})
			}
			if _, err := client.SendMessageBatch(b.Context(), in); err != nil {
				b.Fatal(err)
			}
			got, err := client.ReceiveMessage(b.Context(), &awssqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
			if err != nil {
				b.Fatal(err)
			}
			del := &awssqs.DeleteMessageBatchInput{QueueUrl: url}
			for i, m := range got.Messages {
				del.Entries = append(del.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
			}
			if len(del.Entries) == 0 {
				continue
			}
			if _, err := client.DeleteMessageBatch(b.Context(), del); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N*10)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkDurableSends(b *testing.B) {
	db := opened(b, filepath.Join(b.TempDir(), "stack.db"))
	b.Cleanup(func() { db.Close() })
	_, client := served(b, sqs.Config{DB: db})
	url := created(b, client, "q", nil)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.SendMessage(b.Context(), &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("body")}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
