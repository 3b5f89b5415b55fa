package awslambda

import (
	"context"
	"encoding/base64"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// Invoke calls the function once. The tenant's session signs the call where
// Deps.Sessions is set.
func (f *Functions) Invoke(ctx context.Context, tenant, name string, payload []byte) (function.Invocation, error) {
	in := &lambda.InvokeInput{
		FunctionName:   &name,
		InvocationType: types.InvocationTypeRequestResponse,
		LogType:        types.LogTypeTail,
		Payload:        payload,
	}
	session, options, err := f.signedFor(ctx, tenant)
	if err != nil {
		return function.Invocation{}, f.noSession(err, name)
	}
	ctx, sent := traced(ctx)
	out, err := f.Lambda.Invoke(ctx, in, options...)
	if err != nil && session == "" {
		return function.Invocation{}, f.fail(err, "Invoke", name, sent)
	}
	if err != nil {
		err = classify(err, "Invoke", name, sent)
		if function.ClassOf(err) == function.BadSignature {
			f.Sessions.Drop(tenant, session)
		}
		return function.Invocation{}, err
	}
	inv := function.Invocation{Payload: out.Payload, FunctionError: aws.ToString(out.FunctionError)}
	inv.RequestID, _ = middleware.GetRequestIDMetadata(out.ResultMetadata)
	if tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult)); err == nil {
		inv.LogTail = string(tail)
	}
	inv.Report = function.ParseReport(inv.LogTail)
	return inv, nil
}

// coded is an error with a service's error code, of any type.
type coded interface{ ErrorCode() string }

// noSession is the error of an invocation that could not be signed; nothing was
// sent. It is Denied if STS refuses the session, Throttled if STS takes no more
// calls, and BadSignature if STS rejects the fleet's own keys, which are then
// fetched again.
func (f *Functions) noSession(err error, name string) error {
	e := &function.Error{Class: function.Unsent, Op: "Invoke", Name: name, Reason: function.NoSession, Err: err}
	var answered coded
	if !errors.As(err, &answered) {
		return e
	}
	switch classOf("AssumeRole", answered.ErrorCode(), err.Error()) {
	case function.Denied, function.Refused:
		e.Class = function.Denied
	case function.Throttled:
		e.Class = function.Throttled
	case function.BadSignature:
		e.Class = function.BadSignature
		f.invalidateKeys()
	}
	return e
}

// signedFor returns the options that sign a call with the tenant's session, and
// the session's access key. Both are empty without Deps.Sessions.
func (f *Functions) signedFor(ctx context.Context, tenant string) (session string, _ []func(*lambda.Options), err error) {
	if f.Sessions == nil {
		return "", nil, nil
	}
	c, err := f.Sessions.Session(ctx, tenant)
	if err != nil {
		return "", nil, err
	}
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
	return c.AccessKeyID, []func(*lambda.Options){func(o *lambda.Options) { o.Credentials = provider }}, nil
}

// fail is the error of a call that the fleet's own keys have signed. If Lambda
// rejects the keys, they are fetched again.
func (f *Functions) fail(err error, op, name string, sent *atomic.Bool) error {
	err = classify(err, op, name, sent)
	if function.ClassOf(err) == function.BadSignature {
		f.invalidateKeys()
	}
	return err
}

func (f *Functions) invalidateKeys() {
	if f.Keys != nil {
		f.Keys.Invalidate()
	}
}
