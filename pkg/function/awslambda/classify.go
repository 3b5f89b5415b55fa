package awslambda

import (
	"errors"
	"sync/atomic"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// classify turns an error of the SDK into the contract's *function.Error. sent
// tells whether the request had begun to leave.
func classify(err error, op, name string, sent *atomic.Bool) error {
	e := &function.Error{Op: op, Name: name, Err: err}
	var answered smithy.APIError
	var response *awshttp.ResponseError
	switch {
	case errors.As(err, &answered):
		e.Class, e.Reason = classOf(op, answered.ErrorCode(), answered.ErrorMessage()), answered.ErrorCode()
		var throttled *types.TooManyRequestsException
		if errors.As(err, &throttled) && throttled.Reason != "" {
			e.Reason += "/" + string(throttled.Reason)
		}
		if e.Class == "" {
			e.Class = ofStatus(err)
		}
	case errors.As(err, &response) && response.HTTPStatusCode() > 0: // an answer that the SDK could not parse
		e.Class, e.Reason = ofStatus(err), "UnreadableAnswer"
	case sent.Load():
		e.Class, e.Reason = function.Ambiguous, "ConnectionBroken"
	default:
		e.Class, e.Reason = function.Unsent, "NotConnected"
	}
	return e
}

// ofStatus is the class of an answer with an unknown code, by its HTTP status.
func ofStatus(err error) function.Class {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return function.Ambiguous
	}
	switch status := response.HTTPStatusCode(); {
	case status == 429:
		return function.Throttled
	case status == 401, status == 403:
		return function.Denied
	case status == 404:
		return function.NotFound
	case status >= 400 && status < 500 && status != 408:
		return function.Refused
	default: // 5xx, a proxy that waited too long, or a 200 that broke off
		return function.Ambiguous
	}
}
