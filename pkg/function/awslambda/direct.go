package awslambda

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/scriptfleet/scriptfleet/pkg/awscall"
)

// direct invokes functions without the SDK's client, which would take more CPU
// time for it than all other work on a run. An answer that is no success is read
// by the SDK's client, as if it had made the call.
type direct struct {
	*lambda.Client
	caller *awscall.Caller
	keys   aws.CredentialsProvider
}

// directly returns a direct for a client of the SDK, with its settings, and any
// other API as it is.
func directly(api API) API {
	client, ok := api.(*lambda.Client)
	if !ok {
		return api
	}
	o := client.Options()
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(context.Background(), lambda.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
	})
	if err != nil || o.Credentials == nil || o.HTTPClient == nil {
		return api // the SDK's client tells what is missing
	}
	return &direct{Client: client, keys: o.Credentials, caller: awscall.New(awscall.Config{
		Service: "lambda", Region: o.Region, Endpoint: endpoint.URI, HTTP: o.HTTPClient,
	})}
}

func (d *direct) Invoke(ctx context.Context, in *lambda.InvokeInput, options ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	o := lambda.Options{Credentials: d.keys}
	for _, set := range options {
		set(&o)
	}
	keys, err := o.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	header := http.Header{
		"Content-Type":          {"application/octet-stream"},
		"X-Amz-Invocation-Type": {string(in.InvocationType)},
		"X-Amz-Log-Type":        {string(in.LogType)},
	}
	got, err := d.caller.Post(ctx, keys, "/2015-03-31/functions/"+*in.FunctionName+"/invocations", header, in.Payload)
	if err != nil {
		return nil, err
	}
	if got.Status != http.StatusOK {
		return d.Client.Invoke(ctx, in, append(options, func(o *lambda.Options) { o.HTTPClient = replay(got) })...)
	}
	out := &lambda.InvokeOutput{StatusCode: int32(got.Status), Payload: got.Body}
	if failed := got.Header.Get("X-Amz-Function-Error"); failed != "" {
		out.FunctionError = &failed
	}
	if log := got.Header.Get("X-Amz-Log-Result"); log != "" {
		out.LogResult = &log
	}
	middleware.SetRequestIDMetadata(&out.ResultMetadata, got.Header.Get("X-Amzn-Requestid"))
	return out, nil
}

// replay gives the SDK's client an answer that has come already.
type replay awscall.Answer

func (r replay) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{
		Status: http.StatusText(r.Status), StatusCode: r.Status, Header: r.Header, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(r.Body)), Body: io.NopCloser(bytes.NewReader(r.Body)),
	}, nil
}
