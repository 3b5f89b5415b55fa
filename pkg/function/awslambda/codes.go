package awslambda

import (
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// answer is one row of [answers]: an error code of Lambda and its class.
type answer struct {
	code  string
	class function.Class
	op    string // if set, only for this call
	says  string // if set, only if the message contains this; * matches any text
}

// answers gives a class to every error of Lambda in the SDK's model, and to
// AWS's errors outside the models: the common errors, and the codes that the
// SDK treats as throttling. The first matching row decides. The HTTP status
// does not: many of these errors come with 502 although nothing executed, and
// CodeArtifactUserPendingException comes with 409, 500 and 502.
//
// TestEveryErrorOfTheSDKHasAClass fails if a new version of the SDK has another
// error.
var answers = []answer{
	// A limit of the account, of the function or of the API. Nothing executed.
	{code: "TooManyRequestsException", class: function.Throttled},
	{code: "EC2ThrottledException", class: function.Throttled}, // no environment in the VPC
	{code: "ThrottlingException", class: function.Throttled},
	{code: "Throttling", class: function.Throttled},
	{code: "ThrottledException", class: function.Throttled},
	{code: "RequestLimitExceeded", class: function.Throttled},
	{code: "RequestThrottled", class: function.Throttled},
	{code: "RequestThrottledException", class: function.Throttled},
	{code: "BandwidthLimitExceeded", class: function.Throttled},
	{code: "LimitExceededException", class: function.Throttled},
	{code: "PriorRequestNotComplete", class: function.Throttled},
	{code: "ProvisionedThroughputExceededException", class: function.Throttled},
	{code: "TransactionInProgressException", class: function.Throttled},
	{code: "SlowDown", class: function.Throttled},

	// The function is being created, or wakes. Its code did not begin.
	{code: "ResourceConflictException", op: "CreateFunction", class: function.Conflict},
	{code: "ResourceConflictException", says: "state: Failed", class: function.BadState},
	{code: "ResourceConflictException", class: function.NotReady}, // Pending
	{code: "CodeArtifactUserPendingException", class: function.NotReady},
	{code: "CodeArtifactUserDeletedException", class: function.NotReady}, // Lambda makes another one
	{code: "ResourceNotReadyException", class: function.NotReady},        // Inactive: this call has woken it
	{code: "ENINotReadyException", class: function.NotReady},
	{code: "SnapStartNotReadyException", class: function.NotReady},
	{code: "ResourceInUseException", class: function.NotReady},

	// The function has to be created again.
	{code: "CodeArtifactUserFailedException", class: function.BadState},
	{code: "ResourceNotFoundException", class: function.NotFound},
	{code: "InvalidParameterValueException", says: "Layer version*does not exist", class: function.NotFound}, // swept since it was found

	// Lambda rejected the signature or the keys: nothing executed. The next call
	// is signed with new keys, by a clock that the SDK has corrected.
	{code: "ExpiredTokenException", class: function.BadSignature},
	{code: "ExpiredToken", class: function.BadSignature},
	{code: "UnrecognizedClientException", class: function.BadSignature}, // keys that were taken back
	{code: "InvalidClientTokenId", class: function.BadSignature},
	{code: "RequestExpired", class: function.BadSignature},
	{code: "RequestTimeTooSkewed", class: function.BadSignature},
	{code: "InvalidSignatureException", says: "Signature expired", class: function.BadSignature},
	{code: "InvalidSignatureException", says: "Signature not yet current", class: function.BadSignature},
	{code: "SignatureDoesNotMatch", says: "Signature expired", class: function.BadSignature},
	{code: "SignatureDoesNotMatch", says: "Signature not yet current", class: function.BadSignature},

	// The signer lacks the permission, or its secret is wrong.
	{code: "AccessDeniedException", class: function.Denied},
	{code: "AccessDenied", class: function.Denied},
	{code: "NotAuthorized", class: function.Denied},
	{code: "InvalidSignatureException", class: function.Denied},
	{code: "SignatureDoesNotMatch", class: function.Denied},
	{code: "IncompleteSignatureException", class: function.Denied},
	{code: "IncompleteSignature", class: function.Denied},
	{code: "MissingAuthenticationTokenException", class: function.Denied},
	{code: "MissingAuthenticationToken", class: function.Denied},
	{code: "OptInRequired", class: function.Denied},

	// The account, its network or its quotas: the operator has to act.
	{code: "InvalidParameterValueException", says: "role defined for the function", class: function.Operator}, // it does not trust Lambda (yet)
	{code: "KMSAccessDeniedException", class: function.Operator},
	{code: "KMSDisabledException", class: function.Operator},
	{code: "KMSInvalidStateException", class: function.Operator},
	{code: "KMSNotFoundException", class: function.Operator},
	{code: "EC2AccessDeniedException", class: function.Operator},
	{code: "EC2UnexpectedException", class: function.Operator},
	{code: "ENILimitReachedException", class: function.Operator},
	{code: "SubnetIPAddressLimitReachedException", class: function.Operator},
	{code: "InvalidSecurityGroupIDException", class: function.Operator},
	{code: "InvalidSubnetIDException", class: function.Operator},
	{code: "EFSMountConnectivityException", class: function.Operator},
	{code: "EFSMountFailureException", class: function.Operator},
	{code: "EFSMountTimeoutException", class: function.Operator},
	{code: "S3FilesMountConnectivityException", class: function.Operator},
	{code: "S3FilesMountFailureException", class: function.Operator},
	{code: "S3FilesMountTimeoutException", class: function.Operator},
	{code: "SnapStartException", class: function.Operator}, // the fleet does not use SnapStart: it was switched on by hand
	{code: "SnapStartTimeoutException", class: function.Operator},
	{code: "SnapStartRegenerationFailureException", class: function.Operator},
	{code: "RuntimeAliasDeletedException", class: function.Operator},
	{code: "RuntimeVersionDeletedException", class: function.Operator},
	{code: "CodeStorageExceededException", class: function.Operator},
	{code: "ServiceQuotaExceededException", class: function.Operator},
	{code: "AliasLimitExceededException", class: function.Operator},
	{code: "CapacityProviderLimitExceededException", class: function.Operator},
	{code: "FunctionVersionsPerCapacityProviderLimitExceededException", class: function.Operator},
	{code: "CodeSigningConfigNotFoundException", class: function.Operator},
	{code: "CodeVerificationFailedException", class: function.Operator},
	{code: "InvalidCodeSignatureException", class: function.Operator},

	// The same request would be refused again.
	{code: "InvalidParameterValueException", class: function.Refused},
	{code: "InvalidParameterValue", class: function.Refused},
	{code: "InvalidRequestContentException", class: function.Refused},
	{code: "InvalidRuntimeException", class: function.Refused},
	{code: "InvalidZipFileException", class: function.Refused},
	{code: "RequestTooLargeException", class: function.Refused},
	{code: "RequestEntityTooLargeException", class: function.Refused},
	{code: "SerializedRequestEntityTooLargeException", class: function.Refused},
	{code: "UnsupportedMediaTypeException", class: function.Refused},
	{code: "RecursiveInvocationException", class: function.Refused},
	{code: "ModeNotSupportedException", class: function.Refused},
	{code: "NoPublishedVersionException", class: function.Refused},
	{code: "PreconditionFailedException", class: function.Refused},
	{code: "PolicyLengthExceededException", class: function.Refused},
	{code: "PublicPolicyException", class: function.Refused},
	{code: "ProvisionedConcurrencyConfigNotFoundException", class: function.Refused},
	{code: "CallbackTimeoutException", class: function.Refused},
	{code: "DurableExecutionAlreadyStartedException", class: function.Refused},
	{code: "ValidationException", class: function.Refused},
	{code: "ValidationError", class: function.Refused},
	{code: "MalformedHttpRequestException", class: function.Refused},
	{code: "MalformedQueryString", class: function.Refused},
	{code: "UnknownOperationException", class: function.Refused},
	{code: "InvalidAction", class: function.Refused},

	// It may have executed.
	{code: "ServiceException", class: function.Ambiguous},
	{code: "ServiceUnavailableException", class: function.Ambiguous},
	{code: "ServiceUnavailable", class: function.Ambiguous},
	{code: "InternalFailure", class: function.Ambiguous},
	{code: "InternalServerError", class: function.Ambiguous},
	{code: "RequestAbortedException", class: function.Ambiguous},
	{code: "RequestTimeoutException", class: function.Ambiguous},
	{code: "RequestTimeout", class: function.Ambiguous},
	{code: "EFSIOException", class: function.Ambiguous}, // of a file system that the code has begun to use
}

// classOf is the class of the first matching row, or "" if there is none.
func classOf(op, code, message string) function.Class {
	for _, a := range answers {
		if a.code == code && (a.op == "" || a.op == op) && says(message, a.says) {
			return a.class
		}
	}
	return ""
}

// says tells whether the message contains the parts of the pattern between the
// stars, in order.
func says(message, pattern string) bool {
	for part := range strings.SplitSeq(pattern, "*") {
		_, after, found := strings.Cut(message, part)
		if !found {
			return false
		}
		message = after
	}
	return true
}
