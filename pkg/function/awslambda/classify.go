package awslambda

import (
	"errors"
	"strings"
	"sync/atomic"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// classes gives Lambda's error codes their class. Some come with a status of
// 502 though nothing executed: the code decides before the status does.
var classes = map[string]function.Class{
	// Nothing executed; the account, the function or the API is at its limit.
	"TooManyRequestsException": function.Throttled,
	"ThrottlingException":      function.Throttled,
	"Throttling":               function.Throttled,
	"ThrottledException":       function.Throttled,
	"RequestLimitExceeded":     function.Throttled,
	"EC2ThrottledException":    function.Throttled, // 502: an environment in the VPC could not be prepared

	// The function wakes or is being made; its code did not begin.
	"ResourceConflictException":  function.NotReady, // Pending; on create it is a Conflict, see classOf
	"ResourceNotReadyException":  function.NotReady, // 502: Inactive, or waking
	"ENINotReadyException":       function.NotReady, // 502
	"SnapStartNotReadyException": function.NotReady,
	"ResourceInUseException":     function.NotReady,

	"ResourceNotFoundException": function.NotFound,

	// The same request will be refused again.
	"InvalidParameterValueException":           function.Refused,
	"InvalidRequestContentException":           function.Refused,
	"InvalidRuntimeException":                  function.Refused, // 502
	"InvalidZipFileException":                  function.Refused, // 502
	"RequestTooLargeException":                 function.Refused,
	"SerializedRequestEntityTooLargeException": function.Refused,
	"UnsupportedMediaTypeException":            function.Refused,
	"RecursiveInvocationException":             function.Refused,
	"ValidationException":                      function.Refused,
	"ModeNotSupportedException":                function.Refused,
	"PreconditionFailedException":              function.Refused,

	// Whoever signed may not, or the signature itself is at fault.
	"AccessDeniedException":               function.Denied,
	"AccessDenied":                        function.Denied,
	"UnrecognizedClientException":         function.Denied,
	"InvalidSignatureException":           function.Denied,
	"IncompleteSignatureException":        function.Denied,
	"MissingAuthenticationToken":          function.Denied,
	"MissingAuthenticationTokenException": function.Denied,
	"ExpiredTokenException":               function.Denied,
	"InvalidClientTokenId":                function.Denied,
	"SignatureDoesNotMatch":               function.Denied,
	"OptInRequired":                       function.Denied,

	// The account has to be mended by whoever runs the fleet.
	"CodeStorageExceededException":         function.Operator,
	"ServiceQuotaExceededException":        function.Operator,
	"ENILimitReachedException":             function.Operator, // 502
	"SubnetIPAddressLimitReachedException": function.Operator, // 502
	"InvalidSecurityGroupIDException":      function.Operator, // 502
	"InvalidSubnetIDException":             function.Operator, // 502
	"EC2AccessDeniedException":             function.Operator, // 502
	"EC2UnexpectedException":               function.Operator, // 502
	"CodeVerificationFailedException":      function.Operator,
	"InvalidCodeSignatureException":        function.Operator,
}

// operatorPrefixes are of families of codes that all mean: a service that the
// function was set up with does not serve it.
var operatorPrefixes = []string{"KMS", "EFS", "S3Files"}

// classify makes the one error type of the contract from whatever the SDK
// failed with. sent tells whether the request had begun to leave.
func classify(err error, op, name string, sent *atomic.Bool) error {
	e := &function.Error{Op: op, Name: name, Err: err}
	var answered smithy.APIError
	var response *awshttp.ResponseError
	switch {
	case errors.As(err, &answered):
		e.Class, e.Reason = classOf(op, answered), answered.ErrorCode()
		var throttled *types.TooManyRequestsException
		if errors.As(err, &throttled) && throttled.Reason != "" {
			e.Reason += "/" + string(throttled.Reason)
		}
		if e.Class == "" {
			e.Class = ofStatus(err)
		}
	case errors.As(err, &response) && response.HTTPStatusCode() > 0: // an answer that the SDK could not read
		e.Class, e.Reason = ofStatus(err), "UnreadableAnswer"
	case sent.Load():
		e.Class, e.Reason = function.Ambiguous, "ConnectionBroken"
	default:
		e.Class, e.Reason = function.Unsent, "NotConnected"
	}
	return e
}

// classOf is the class by the code alone; "" where the code is unknown.
func classOf(op string, e smithy.APIError) function.Class {
	code, message := e.ErrorCode(), e.ErrorMessage()
	switch {
	case code == "ResourceConflictException" && op == "CreateFunction":
		return function.Conflict
	case code == "ResourceConflictException" && strings.Contains(message, "state: Failed"):
		return function.BadState
	case code == "InvalidParameterValueException" && strings.Contains(message, "role defined for the function"):
		return function.Operator // the role is not there, or does not trust Lambda (yet)
	case code == "InvalidParameterValueException" && strings.Contains(message, "Layer version") && strings.Contains(message, "does not exist"):
		return function.NotFound // swept since it was found
	}
	for _, prefix := range operatorPrefixes {
		if strings.HasPrefix(code, prefix) {
			return function.Operator
		}
	}
	return classes[code]
}

// ofStatus is the class of an answer with an unknown code.
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
	case status >= 400 && status < 500:
		return function.Refused
	default: // 5xx, or a 200 that broke off
		return function.Ambiguous
	}
}
