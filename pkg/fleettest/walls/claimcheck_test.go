package walls

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func urlOf(queueName string) *string {
	return aws.String(fleet.set["AWS_ENDPOINT_URL"] + "/123456789012/scriptfleet-" + queueName)
}

// pointTo puts a claim check pointer on a queue, as an official client would.
func pointTo(t *testing.T, queueName, group, bucket, key string) {
	t.Helper()
	body := asJSON([]any{"software.amazon.payloadoffloading.PayloadS3Pointer", map[string]string{"s3BucketName": bucket, "s3Key": key}})
	in := &sqs.SendMessageInput{
		QueueUrl: urlOf(queueName), MessageBody: &body,
		MessageAttributes: map[string]types.MessageAttributeValue{"ExtendedPayloadSize": {DataType: aws.String("Number"), StringValue: aws.String("100")}},
	}
	if group != "" {
		in.MessageGroupId = &group
	}
	if _, err := sqs.NewFromConfig(root()).SendMessage(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// pointedTo is the key in the first pointer on a queue; the message stays
// there.
func pointedTo(t *testing.T, queueName string) string {
	t.Helper()
	got, err := sqs.NewFromConfig(root()).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: urlOf(queueName),
	})
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("%+v: %v", got, err)
	}
	m := got.Messages[0]
	var where struct {
		Key string `json:"s3Key"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &[]any{nil, &where}); err != nil {
		t.Fatalf("%s: %v", aws.ToString(m.Body), err)
	}
	if _, err := sqs.NewFromConfig(root()).ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: urlOf(queueName), ReceiptHandle: m.ReceiptHandle,
	}); err != nil {
		t.Fatal(err)
	}
	return where.Key
}

// A pointer on the requests queue must be below that queue's prefix. Any other
// object is not read, and nothing of it is reported.
func TestAForgedPointerLeadsNowhere(t *testing.T) {
	bucket, ctx := fleet.set["SCRIPTFLEET_BUCKET"], t.Context()
	objects := s3.NewFromConfig(root(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("elsewhere")}); err != nil {
		t.Fatal(err)
	}
	put := func(bucket, key, id string) {
		if err := fleettest.Bucket(root(), bucket).Put(ctx, key, []byte(fleettest.Request(tenantB, id, fleettest.Data{Script: hello}))); err != nil {
			t.Fatal(err)
		}
	}
	put(bucket, "scriptfleet/requests/rightful", t.Name()+"-rightful")
	pointTo(t, "requests", "", bucket, "scriptfleet/requests/rightful")
	if res := fleet.AwaitOf(t, tenantB, t.Name()+"-rightful"); res.Data.Status != run.Succeeded {
		t.Fatalf("the rightful pointer: %s", res.Body)
	}
	random := "/0191d3a0-0000-7000-8000-000000000000"
	scope := strings.Repeat("a", 26)
	for n, p := range []struct{ bucket, key, lies string }{
		{"elsewhere", "scriptfleet/requests/x", "scriptfleet/requests/x"},
		{bucket, "scriptfleet/results/of-b", "scriptfleet/results/of-b"},
		{bucket, "scriptfleet/runs/" + scope + random, "scriptfleet/runs/" + scope + random},
		{bucket, "scriptfleet/zips/x", "scriptfleet/zips/x"},
		{bucket, "other/requests/x", "other/requests/x"},
		{bucket, "scriptfleet/requests/../results/dots", "scriptfleet/results/dots"},
		{bucket, "scriptfleet/requests/%2e%2e/results/escaped", "scriptfleet/results/escaped"},
		{bucket, "scriptfleet/requests//double", "scriptfleet/requests/double"},
		{bucket, "/scriptfleet/requests/slash", "scriptfleet/requests/slash"},
		{bucket, "scriptfleet/requests/x?versionId=1", "scriptfleet/requests/query"},
		{bucket, "scriptfleet/requests/" + scope + random, "scriptfleet/requests/" + scope + random},
		{bucket, "scriptfleet/requestsbeside", "scriptfleet/requestsbeside"},
	} {
		id := fmt.Sprintf("%s-%d", t.Name(), n)
		put(p.bucket, p.lies, id)
		pointTo(t, "requests", tenantA, p.bucket, p.key)
		quoted, _ := json.Marshal(p.key)
		if kind := fleet.Buried(t, string(quoted)); kind != "InvalidClaimCheck" {
			t.Errorf("%s in %s: %s", p.key, p.bucket, kind)
		}
		if len(fleet.ResultsOf(tenantB, id)) > 0 {
			t.Errorf("%s in %s was followed", p.key, p.bucket)
		}
	}
}

// The key of a large result of B is accepted only in a delivery to B: the same
// pointer in A's group is refused.
func TestAResultOfAnotherIsNotRedeemedByItsPointer(t *testing.T) {
	const name = "walls-replies"
	client := sqs.NewFromConfig(root())
	if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("scriptfleet-" + name)}); err != nil {
		t.Fatal(err)
	}
	replies, err := fleet.Open(name, "results")
	if err != nil {
		t.Fatal(err)
	}
	large := []byte(strings.Repeat("b's", 500_000))
	if err := errors.Join(replies.Send(t.Context(), []queue.Message{{Body: large, Group: tenantB}})...); err != nil {
		t.Fatal(err)
	}
	key := pointedTo(t, name)
	receive := func() queue.Delivery {
		ds, err := replies.Receive(t.Context(), queue.Poll{Max: 1, Visibility: fleettest.Within})
		if err != nil || len(ds) != 1 {
			t.Fatalf("%d deliveries: %v", len(ds), err)
		}
		return ds[0]
	}
	rightful := receive()
	if string(rightful.Body) != string(large) || claimcheck.Problem(rightful) != nil {
		t.Fatalf("the rightful one gets %d bytes: %v", len(rightful.Body), claimcheck.Problem(rightful))
	}
	for _, group := range []string{tenantA, "", "acme2"} {
		pointTo(t, name, group, fleet.set["SCRIPTFLEET_BUCKET"], key)
		if d := receive(); !errors.Is(claimcheck.Problem(d), claimcheck.ErrForeign) || strings.Contains(string(d.Body), "b'sb's") {
			t.Errorf("in group %q: %v", group, claimcheck.Problem(d))
		}
	}
	pointTo(t, name, tenantB, fleet.set["SCRIPTFLEET_BUCKET"], key)
	if d := receive(); string(d.Body) != string(large) {
		t.Errorf("in b's group: %v", claimcheck.Problem(d))
	}
}
