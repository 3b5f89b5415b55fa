package sqs_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

func created(t testing.TB, client *awssqs.Client, name string, attributes map[string]string) *string {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueueUrl
}

// kind is the SDK's type of an error, or else its code.
func kind(err error) string {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	if name, ok := strings.CutPrefix(fmt.Sprintf("%T", e), "*types."); ok {
		return name
	}
	return e.ErrorCode()
}

func TestErrorsAreOnesThatTheSDKKnows(t *testing.T) {
	_, client := served(t, sqs.Config{})
	ctx := t.Context()
	url := created(t, client, "q", map[string]string{"VisibilityTimeout": "7"})
	long := strings.Repeat("x", 1<<20+1)
	send := func(in *awssqs.SendMessageInput) error {
		in.QueueUrl = url
		_, err := client.SendMessage(ctx, in)
		return err
	}
	batch := func(entries ...types.SendMessageBatchRequestEntry) error {
		_, err := client.SendMessageBatch(ctx, &awssqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
		return err
	}
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	eleven := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range eleven {
		eleven[i] = entry(fmt.Sprint(i), "b")
	}
	del := func(handle string) error {
		_, err := client.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: &handle})
		return err
	}
	_, noQueue := client.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: aws.String("none")})
	_, conflict := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "8"}})
	_, badName := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("a b")})
	_, badAttribute := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("r"), Attributes: map[string]string{"Colour": "red"}})
	_, badWait := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 21})
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{"no such queue", noQueue, "QueueDoesNotExist"},
		{"another attribute", conflict, "QueueNameExists"},
		{"a bad name", badName, "InvalidParameterValue"},
		{"an unknown attribute", badAttribute, "InvalidAttributeName"},
		{"too long a wait", badWait, "InvalidParameterValue"},
		{"control characters", send(&awssqs.SendMessageInput{MessageBody: aws.String("a\x01b")}), "InvalidMessageContents"},
		{"too long a body", send(&awssqs.SendMessageInput{MessageBody: &long}), "InvalidParameterValue"},
		{"too long a group", send(&awssqs.SendMessageInput{MessageBody: aws.String("b"), MessageGroupId: aws.String(strings.Repeat("g", 129))}), "InvalidParameterValue"},
		{"too long a delay", send(&awssqs.SendMessageInput{MessageBody: aws.String("b"), DelaySeconds: 901}), "InvalidParameterValue"},
		{"an empty batch", batch([]types.SendMessageBatchRequestEntry{}...), "EmptyBatchRequest"},
		{"eleven entries", batch(eleven...), "TooManyEntriesInBatchRequest"},
		{"ids that are not distinct", batch(entry("a", "b"), entry("a", "b")), "BatchEntryIdsNotDistinct"},
		{"an id that is none", batch(entry("a b", "b")), "InvalidBatchEntryId"},
		{"a batch too long", batch(entry("a", long[:1<<19]), entry("b", long[:1<<19+1])), "BatchRequestTooLong"},
		{"no receipt handle", del("nonsense"), "ReceiptHandleIsInvalid"},
	} {
		if got := kind(c.err); got != c.want {
			t.Errorf("%s: %s, not %s", c.what, got, c.want)
		}
	}
}

func TestErrorsNameWhatOlderClientsKnow(t *testing.T) {
	server, _ := served(t, sqs.Config{})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"QueueName":"none"}`))
	r.Header.Set("X-Amz-Target", "AmazonSQS.GetQueueUrl")
	w := httptest.NewRecorder()
	as(auth.Root(account, "k"), server).ServeHTTP(w, r)
	want := `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`
	if w.Code != 400 || w.Header().Get("X-Amzn-Query-Error") != "AWS.SimpleQueueService.NonExistentQueue;Sender" || w.Body.String() != want {
		t.Error(w.Code, w.Header(), w.Body)
	}
}

func TestReceiveShowsTheAttributesThatWereAskedFor(t *testing.T) {
	_, client := served(t, sqs.Config{})
	url := created(t, client, "q", nil)
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{
		QueueUrl: url, MessageBody: aws.String("b"), MessageGroupId: aws.String("acme"),
		MessageAttributes: map[string]types.MessageAttributeValue{"foo.a": text("1"), "foo.b": text("2"), "bar": text("3"),
			"bin": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1}}},
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1")}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		names  []string
		system []types.MessageSystemAttributeName
		want   string
	}{
		{nil, nil, "map[] []"},
		{[]string{"bar", "none"}, []types.MessageSystemAttributeName{"MessageGroupId"}, "map[MessageGroupId:acme] [bar]"},
		{[]string{"foo.*"}, []types.MessageSystemAttributeName{"AWSTraceHeader"}, "map[AWSTraceHeader:Root=1] [foo.a foo.b]"},
		{[]string{"All"}, []types.MessageSystemAttributeName{"ApproximateReceiveCount"}, "map[ApproximateReceiveCount:4] [bar bin foo.a foo.b]"},
	} {
		out, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{
			QueueUrl: url, MessageAttributeNames: c.names, MessageSystemAttributeNames: c.system, VisibilityTimeout: 0})
		if err != nil || len(out.Messages) != 1 {
			t.Fatal(out, err)
		}
		m := out.Messages[0]
		var names []string
		for _, name := range []string{"bar", "bin", "foo.a", "foo.b"} {
			if _, ok := m.MessageAttributes[name]; ok {
				names = append(names, name)
			}
		}
		if got := fmt.Sprint(m.Attributes, names); got != c.want {
			t.Errorf("asked for %v %v: %s, not %s", c.names, c.system, got, c.want)
		}
		// ChangeMessageVisibility, because the SDK does not send a visibility of
		// 0 with a receive.
		if _, err := client.ChangeMessageVisibility(t.Context(), &awssqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueuesAreListedTaggedPurgedAndDeleted(t *testing.T) {
	server, client := served(t, sqs.Config{})
	ctx := t.Context()
	dead := created(t, client, "a-dlq", nil)
	arn := "arn:aws:sqs:us-east-1:" + account + ":a-dlq"
	url := created(t, client, "a", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":"3"}`})
	sources, err := client.ListDeadLetterSourceQueues(ctx, &awssqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
	if err != nil || len(sources.QueueUrls) != 1 || sources.QueueUrls[0] != *url {
		t.Error(sources, err)
	}
	page, err := client.ListQueues(ctx, &awssqs.ListQueuesInput{QueueNamePrefix: aws.String("a"), MaxResults: aws.Int32(1)})
	if err != nil || len(page.QueueUrls) != 1 || page.NextToken == nil {
		t.Fatal(page, err)
	}
	page, err = client.ListQueues(ctx, &awssqs.ListQueuesInput{QueueNamePrefix: aws.String("a"), MaxResults: aws.Int32(1), NextToken: page.NextToken})
	if err != nil || len(page.QueueUrls) != 1 || page.QueueUrls[0] != *dead || page.NextToken != nil {
		t.Error(page, err)
	}
	if _, err := client.TagQueue(ctx, &awssqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"team": "red"}}); err != nil {
		t.Error(err)
	}
	if tags, err := client.ListQueueTags(ctx, &awssqs.ListQueueTagsInput{QueueUrl: url}); err != nil || tags.Tags["team"] != "red" {
		t.Error(tags, err)
	}
	if _, err := client.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("b")}); err != nil {
		t.Error(err)
	}
	if _, err := client.PurgeQueue(ctx, &awssqs.PurgeQueueInput{QueueUrl: url}); err != nil || server.Stats()[0].Visible != 0 {
		t.Error(err, server.Stats())
	}
	if _, err := client.DeleteQueue(ctx, &awssqs.DeleteQueueInput{QueueUrl: url}); err != nil {
		t.Error(err)
	}
	_, err = client.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("b")})
	var none *types.QueueDoesNotExist
	if !errors.As(err, &none) {
		t.Error(err)
	}
}

func TestDeadLettersSayWhereTheyCameFrom(t *testing.T) {
	_, client := served(t, sqs.Config{})
	ctx := t.Context()
	dead := created(t, client, "dlq", nil)
	arn := "arn:aws:sqs:us-east-1:" + account + ":"
	url := created(t, client, "q", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `dlq","maxReceiveCount":1}`})
	sent, err := client.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("b"), MessageGroupId: aws.String("acme")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ChangeMessageVisibility(ctx, &awssqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if again, err := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url}); err != nil || len(again.Messages) != 0 {
		t.Fatal(again, err)
	}
	letters, err := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: dead, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil || len(letters.Messages) != 1 {
		t.Fatal(letters, err)
	}
	m := letters.Messages[0]
	if *m.MessageId != *sent.MessageId || m.Attributes["DeadLetterQueueSourceArn"] != arn+"q" || m.Attributes["MessageGroupId"] != "acme" {
		t.Error(*m.MessageId, m.Attributes)
	}
}

func TestAnAccountHasQueuesOfItsOwn(t *testing.T) {
	server, client := served(t, sqs.Config{})
	created(t, client, "requests", nil)
	call := func(account, operation, body string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		w := httptest.NewRecorder()
		as(auth.SessionOf("k", "arn:aws:sts::"+account+":assumed-role/r/s", "u", auth.AllowAll()), server).ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	const two, three = "222222222222", "333333333333"
	theirs := func(of, name string) string { return `"QueueUrl":"http://h/` + of + "/" + name + `"` }
	for _, c := range []struct {
		as, operation, body string
		want                int
		says                string
	}{
		{two, "CreateQueue", `{"QueueName":"dead"}`, 200, "/" + two + "/dead"},
		{two, "CreateQueue", `{"QueueName":"requests","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:` + two + `:dead\",\"maxReceiveCount\":3}"}}`, 200, "/" + two + "/requests"},
		{two, "CreateQueue", `{"QueueName":"other","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:` + account + `:requests\",\"maxReceiveCount\":3}"}}`, 400, "Dead letter target"},
		{two, "CreateQueue", `{"QueueName":"` + account + `/requests"}`, 400, ""},
		{two, "SendMessage", "{" + theirs(two, "requests") + `,"MessageBody":"of two"}`, 200, ""},
		{two, "ListQueues", `{}`, 200, `{"QueueUrls":["http://example.com/` + two + `/dead","http://example.com/` + two + `/requests"]}`},
		{two, "GetQueueUrl", `{"QueueName":"requests"}`, 200, "/" + two + "/requests"},
		{two, "GetQueueUrl", `{"QueueName":"requests","QueueOwnerAWSAccountId":"` + account + `"}`, 403, ""},
		{two, "SendMessage", "{" + theirs(account, "requests") + `,"MessageBody":"x"}`, 403, ""},
		{two, "ReceiveMessage", "{" + theirs(account, "requests") + "}", 403, ""},
		{two, "ReceiveMessage", `{"QueueUrl":"requests"}`, 403, ""},
		{two, "ReceiveMessage", `{"QueueUrl":"http://h/` + two + `/../` + account + `/requests"}`, 403, ""},
		{three, "ListQueues", `{}`, 200, `{"QueueUrls":[]}`},
		{three, "ReceiveMessage", "{" + theirs(two, "requests") + "}", 403, ""},
		{three, "DeleteQueue", "{" + theirs(two, "requests") + "}", 403, ""},
		{two, "ReceiveMessage", "{" + theirs(two, "requests") + "}", 200, "of two"},
	} {
		if code, body := call(c.as, c.operation, c.body); code != c.want || !strings.Contains(body, c.says) {
			t.Errorf("%s: %s %s: %d, not %d: %s", c.as, c.operation, c.body, code, c.want, body)
		}
	}
	if got, err := client.ListQueues(t.Context(), &awssqs.ListQueuesInput{}); err != nil || len(got.QueueUrls) != 1 {
		t.Errorf("the stack's own account lists %v, %v", got, err)
	}
}

func TestASessionDoesOnlyWhatItsPolicyAllows(t *testing.T) {
	server, client := served(t, sqs.Config{})
	created(t, client, "mine", nil)
	created(t, client, "yours", nil)
	mine := auth.SessionOf("k", "arn:aws:sts::"+account+":assumed-role/r/s", "u",
		auth.Allow([]string{"sqs:SendMessage"}, []string{"arn:aws:sqs:us-east-1:" + account + ":mine"}))
	call := func(id auth.Identity, operation, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		w := httptest.NewRecorder()
		as(id, server).ServeHTTP(w, r)
		return w.Code
	}
	for _, c := range []struct {
		operation, body string
		want            int
	}{
		{"SendMessage", `{"QueueUrl":"http://h/1/mine","MessageBody":"b"}`, 200},
		{"SendMessage", `{"QueueUrl":"http://h/1/yours","MessageBody":"b"}`, 403},
		{"SendMessage", `{"QueueUrl":"http://h/1/none","MessageBody":"b"}`, 403}, // nobody learns what there is
		{"ReceiveMessage", `{"QueueUrl":"http://h/1/mine"}`, 403},
		{"ListQueues", `{}`, 403},
		{"CreateQueue", `{"QueueName":"new"}`, 403},
		{"GetQueueUrl", `{"QueueName":"mine"}`, 403},
	} {
		if got := call(mine, c.operation, c.body); got != c.want {
			t.Errorf("%s %s: %d, not %d", c.operation, c.body, got, c.want)
		}
	}
	if got := call(auth.Identity{}, "ListQueues", "{}"); got != 403 {
		t.Error("an identity without a policy:", got)
	}
}
