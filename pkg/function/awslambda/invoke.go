package awslambda

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// Invoke calls the function once, signed with the tenant's session where there
// are sessions.
func (f *Functions) Invoke(ctx context.Context, tenant, name string, payload []byte) (function.Invocation, error) {
	in := &lambda.InvokeInput{
		FunctionName:   &name,
		InvocationType: types.InvocationTypeRequestResponse,
		LogType:        types.LogTypeTail,
		Payload:        payload,
	}
	options, err := f.signedFor(ctx, tenant)
	if err != nil {
		return function.Invocation{}, noSession(err, name)
	}
	ctx, sent := traced(ctx)
	out, err := f.Lambda.Invoke(ctx, in, options...)
	if err != nil {
		return function.Invocation{}, classify(err, "Invoke", name, sent)
	}
	inv := function.Invocation{Payload: out.Payload, FunctionError: aws.ToString(out.FunctionError)}
	inv.RequestID, _ = middleware.GetRequestIDMetadata(out.ResultMetadata)
	if tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult)); err == nil {
		inv.LogTail = string(tail)
	}
	inv.Report = function.ParseReport(inv.LogTail)
	return inv, nil
}

// noSession is an invocation that could not be signed, so nothing was sent.
func noSession(err error, name string) error {
	e := &function.Error{Class: function.Unsent, Op: "Invoke", Name: name, Reason: "NoSession", Err: err}
	var answered smithy.APIError
	if errors.As(err, &answered) && classes[answered.ErrorCode()] == function.Denied {
		e.Class = function.Denied
	}
	return e
}

// signedFor returns the options of a call that the tenant's session signs.
func (f *Functions) signedFor(ctx context.Context, tenant string) ([]func(*lambda.Options), error) {
	if f.Sessions == nil {
		return nil, nil
	}
	credentials, err := f.Sessions.Session(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return []func(*lambda.Options){func(o *lambda.Options) { o.Credentials = credentials }}, nil
}
