package sqs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

// FuzzNoRequestIsAnsweredWithAServerError sends any body to any operation.
func FuzzNoRequestIsAnsweredWithAServerError(f *testing.F) {
	server, err := sqs.New(sqs.Config{Region: "us-east-1", Account: account}, sqs.Deps{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(server.Close)
	if err := server.Ensure(sqs.Plan{Name: "q"}); err != nil {
		f.Fatal(err)
	}
	operations := []string{"CreateQueue", "GetQueueUrl", "ListQueues", "PurgeQueue", "GetQueueAttributes", "SetQueueAttributes",
		"ListDeadLetterSourceQueues", "TagQueue", "UntagQueue", "ListQueueTags", "SendMessage", "SendMessageBatch", "ReceiveMessage",
		"DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "Other"}
	for i, body := range []string{
		`{"QueueUrl":"http://h/1/q","MessageBody":"b","MessageGroupId":"g","DelaySeconds":1}`,
		`{"QueueUrl":"http://h/1/q","Entries":[{"Id":"a","MessageBody":"b","MessageAttributes":{"n":{"DataType":"Number","StringValue":"1"}}}]}`,
		`{"QueueUrl":"http://h/1/q","Entries":[{"Id":"a","ReceiptHandle":"AQEBAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAAA","VisibilityTimeout":3}]}`,
		`{"QueueName":"new","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:123456789012:q\",\"maxReceiveCount\":1}"}}`,
		`{"QueueUrl":"q","MaxNumberOfMessages":10,"AttributeNames":["All"],"MessageAttributeNames":["a.*"]}`,
		`{"QueueUrl":null,"Entries":{}}`, `[]`, ``, `{"QueueUrl":"q","Attributes":{"VisibilityTimeout":"-1"}}`,
	} {
		for op := range operations {
			f.Add((op+i)%len(operations), body)
		}
	}
	f.Fuzz(func(t *testing.T, op int, body string) {
		if strings.Contains(strings.ToLower(body), "waittime") {
			return // a long poll, which may take long
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operations[max(op, -op-1)%len(operations)])
		w := httptest.NewRecorder()
		as(auth.Root(account, "k"), server).ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
