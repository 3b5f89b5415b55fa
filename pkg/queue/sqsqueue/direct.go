package sqsqueue

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/awscall"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// direct makes the calls of every run without the SDK's client, which would take
// more CPU time for them than all other work on the run. It only does what goes
// well: a call that fails in any way is made again by the SDK's client, which
// retries it, corrects the clock, and tells the error. SQS's answer is not
// checked against its MD5 sums here; TLS protects it.
//
// A nil direct fails.
type direct struct {
	caller *awscall.Caller
	keys   aws.CredentialsProvider
	url    string // of the queue
}

// newDirect returns a direct with the settings of a client of the SDK, and nil
// for any other API.
func newDirect(ctx context.Context, api API, url string) *direct {
	client, ok := api.(*sqs.Client)
	if !ok {
		return nil
	}
	o := client.Options()
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, sqs.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
	})
	if err != nil || o.Credentials == nil || o.HTTPClient == nil {
		return nil // the SDK's client tells what is missing
	}
	return &direct{url: url, keys: o.Credentials, caller: awscall.New(awscall.Config{
		Service: "sqs", Region: o.Region, Endpoint: endpoint.URI, HTTP: o.HTTPClient,
	})}
}

// call makes one call, and reads its answer into out. It returns false if the
// call has failed.
func (d *direct) call(ctx context.Context, target string, in, out any) bool {
	body, err := json.Marshal(in)
	if err != nil {
		return false
	}
	keys, err := d.keys.Retrieve(ctx)
	if err != nil {
		return false
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS." + target}}
	got, err := d.caller.Post(ctx, keys, "", header, body)
	return err == nil && got.Status == http.StatusOK && json.Unmarshal(got.Body, out) == nil
}

type receiveInput struct {
	QueueURL                    string `json:"QueueUrl"`
	MaxNumberOfMessages         int
	WaitTimeSeconds             int32 `json:",omitempty"`
	VisibilityTimeout           int32 `json:",omitempty"`
	MessageAttributeNames       []string
	MessageSystemAttributeNames []types.MessageSystemAttributeName
}

func (d *direct) receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, bool) {
	var out struct{ Messages []message }
	if d == nil || !d.call(ctx, "ReceiveMessage", receiveInput{
		d.url, p.Max, seconds(p.Wait), seconds(p.Visibility), allAttributes, systemAttributes,
	}, &out) {
		return nil, false
	}
	return deliveries(out.Messages), true
}

type (
	batchInput[Entry any] struct {
		QueueURL string `json:"QueueUrl"`
		Entries  []Entry
	}
	sendEntry struct {
		ID                string `json:"Id"`
		MessageBody       string
		DelaySeconds      int32                    `json:",omitempty"`
		MessageGroupID    string                   `json:"MessageGroupId,omitempty"`
		MessageAttributes map[string]sendAttribute `json:",omitempty"`

		MessageSystemAttributes map[string]sendAttribute `json:",omitempty"`
	}
	sendAttribute struct{ DataType, StringValue string }
	deleteEntry   struct {
		ID            string `json:"Id"`
		ReceiptHandle string
	}

	batchOutput struct {
		Successful []struct {
			ID *string `json:"Id"`
		}
		Failed []types.BatchResultErrorEntry
	}
)

// settle stores the answer as answers.settle does.
func (o *batchOutput) settle(a *answers, class func(*EntryError) error) {
	for i := range o.Successful {
		a.succeed(o.Successful[i].ID)
	}
	a.settle(o.Failed, class)
}

func (d *direct) send(ctx context.Context, ms []queue.Message, call []int) (out *batchOutput, ok bool) {
	if d == nil {
		return nil, false
	}
	entries := make([]sendEntry, len(call))
	for n, i := range call {
		m := &ms[i]
		entries[n] = sendEntry{ID: ids[n], MessageBody: string(m.Body), DelaySeconds: seconds(m.Delay), MessageGroupID: m.Group}
		if len(m.Attributes) > 0 {
			entries[n].MessageAttributes = make(map[string]sendAttribute, len(m.Attributes))
		}
		for name, value := range m.Attributes {
			entries[n].MessageAttributes[name] = sendAttribute{queue.DataType(name), value}
		}
		if m.TraceHeader != "" {
			entries[n].MessageSystemAttributes = map[string]sendAttribute{
				string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {"String", m.TraceHeader},
			}
		}
	}
	out = new(batchOutput)
	return out, d.call(ctx, "SendMessageBatch", batchInput[sendEntry]{d.url, entries}, out)
}

func (d *direct) delete(ctx context.Context, ds []queue.Delivery, call []int) (out *batchOutput, ok bool) {
	if d == nil {
		return nil, false
	}
	entries := make([]deleteEntry, len(call))
	for n, i := range call {
		entries[n] = deleteEntry{ids[n], ds[i].Handle}
	}
	out = new(batchOutput)
	return out, d.call(ctx, "DeleteMessageBatch", batchInput[deleteEntry]{d.url, entries}, out)
}
