package sqsqueue

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/awscall"
)

// direct makes the calls of a run without the SDK's client, which would take
// more CPU time for them than all other work on the run. It only does what goes
// well: a call that fails in any way is made again by the SDK's client, which
// retries it, corrects the clock, and tells the error. SQS's answer is not
// checked against its MD5 sums here; TLS protects it.
type direct struct {
	*sqs.Client
	caller *awscall.Caller
	keys   aws.CredentialsProvider
}

// directly returns a direct for a client of the SDK, with its settings, and any
// other API as it is.
func directly(ctx context.Context, api API) API {
	client, ok := api.(*sqs.Client)
	if !ok {
		return api
	}
	o := client.Options()
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, sqs.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
	})
	if err != nil || o.Credentials == nil || o.HTTPClient == nil {
		return api // the SDK's client tells what is missing
	}
	return &direct{Client: client, keys: o.Credentials, caller: awscall.New(awscall.Config{
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

// The inputs as they are on the wire. The outputs of the SDK have the names of
// the wire already.
type (
	receiveInput struct {
		QueueUrl                    *string
		MaxNumberOfMessages         int32                              `json:",omitempty"`
		WaitTimeSeconds             int32                              `json:",omitempty"`
		VisibilityTimeout           int32                              `json:",omitempty"`
		MessageAttributeNames       []string                           `json:",omitempty"`
		MessageSystemAttributeNames []types.MessageSystemAttributeName `json:",omitempty"`
	}
	batchInput[Entry any] struct {
		QueueUrl *string
		Entries  []Entry
	}
	sendEntry struct {
		Id, MessageBody         *string
		DelaySeconds            int32                     `json:",omitempty"`
		MessageGroupId          *string                   `json:",omitempty"`
		MessageAttributes       map[string]attributeInput `json:",omitempty"`
		MessageSystemAttributes map[string]attributeInput `json:",omitempty"`
	}
	attributeInput struct{ DataType, StringValue *string }
	deleteEntry    struct{ Id, ReceiptHandle *string }
)

func (d *direct) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := new(sqs.ReceiveMessageOutput)
	if d.call(ctx, "ReceiveMessage", receiveInput{
		in.QueueUrl, in.MaxNumberOfMessages, in.WaitTimeSeconds, in.VisibilityTimeout, in.MessageAttributeNames, in.MessageSystemAttributeNames,
	}, out) {
		return out, nil
	}
	return d.Client.ReceiveMessage(ctx, in, options...)
}

func (d *direct) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, options ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	entries := make([]sendEntry, len(in.Entries))
	for i, e := range in.Entries {
		entries[i] = sendEntry{Id: e.Id, MessageBody: e.MessageBody, DelaySeconds: e.DelaySeconds, MessageGroupId: e.MessageGroupId}
		entries[i].MessageAttributes = attributesOnWire(e.MessageAttributes, func(v types.MessageAttributeValue) attributeInput {
			return attributeInput{v.DataType, v.StringValue}
		})
		entries[i].MessageSystemAttributes = attributesOnWire(e.MessageSystemAttributes, func(v types.MessageSystemAttributeValue) attributeInput {
			return attributeInput{v.DataType, v.StringValue}
		})
	}
	out := new(sqs.SendMessageBatchOutput)
	if d.call(ctx, "SendMessageBatch", batchInput[sendEntry]{in.QueueUrl, entries}, out) {
		return out, nil
	}
	return d.Client.SendMessageBatch(ctx, in, options...)
}

func attributesOnWire[Value any](values map[string]Value, input func(Value) attributeInput) map[string]attributeInput {
	if len(values) == 0 {
		return nil
	}
	inputs := make(map[string]attributeInput, len(values))
	for name, v := range values {
		inputs[name] = input(v)
	}
	return inputs
}

func (d *direct) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	entries := make([]deleteEntry, len(in.Entries))
	for i, e := range in.Entries {
		entries[i] = deleteEntry{e.Id, e.ReceiptHandle}
	}
	out := new(sqs.DeleteMessageBatchOutput)
	if d.call(ctx, "DeleteMessageBatch", batchInput[deleteEntry]{in.QueueUrl, entries}, out) {
		return out, nil
	}
	return d.Client.DeleteMessageBatch(ctx, in, options...)
}
