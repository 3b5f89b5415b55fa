package refusals

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// fate is the outcome of a run whose first invocation failed with an error.
type fate struct {
	status  run.Status
	kind    string // error type
	owner   run.Owner
	attempt int
	mayHave bool // may have executed
}

var (
	// Refused and put back: the next invocation is the first attempt.
	putBack = fate{run.Succeeded, "", "", 1, true}
	// No answer, and the script may have run: the next invocation is the second
	// attempt.
	repeated = fate{run.Succeeded, "", "", 2, true}
	// Refused finally.
	denied  = fate{run.PlatformError, "FunctionAccessDenied", run.OwnerOperator, 1, false}
	fault   = fate{run.PlatformError, "FunctionServiceFault", run.OwnerOperator, 1, false}
	refused = fate{run.PlatformError, "InvocationRefused", run.OwnerPlatform, 1, false}
)

// answers are Lambda's errors for an invocation, with the status of AWS's model
// or of public reports, and with a message if the class depends on it.
var answers = map[fate][]string{
	putBack: {
		"409 CodeArtifactUserPendingException", "500 CodeArtifactUserPendingException", "502 CodeArtifactUserPendingException",
		"409 CodeArtifactUserDeletedException", "409 CodeArtifactUserFailedException",
		"409 ResourceConflictException: The function is currently in the following state: Pending",
		"409 ResourceConflictException: The function is currently in the following state: Failed",
		"502 ResourceNotReadyException", "502 ENINotReadyException", "409 SnapStartNotReadyException", "400 ResourceInUseException",
		"404 ResourceNotFoundException",
		"429 TooManyRequestsException", "502 EC2ThrottledException", "400 ThrottlingException", "429 ",
		"403 ExpiredTokenException", "403 UnrecognizedClientException", "403 RequestExpired",
		"403 InvalidSignatureException: Signature expired: 20261123T090000Z is now earlier than 20261123T091000Z",
		"403 InvalidSignatureException: Signature not yet current: 20261123T092000Z is still later than 20261123T091500Z",
	},
	repeated: {
		"500 ServiceException", "503 ServiceUnavailableException", "500 InternalFailure", "502 ", "503 ", "504 ", "408 ",
		"410 EFSIOException", "400 RequestAbortedException", "502 SomethingNewException",
	},
	denied: {
		"403 AccessDeniedException", "403 IncompleteSignatureException", "403 MissingAuthenticationTokenException", "403 OptInRequired",
		"403 InvalidSignatureException: The request signature we calculated does not match the signature you provided.", "403 ",
	},
	fault: {
		"502 KMSAccessDeniedException", "502 KMSDisabledException", "502 KMSInvalidStateException", "502 KMSNotFoundException",
		"502 EC2AccessDeniedException", "502 EC2UnexpectedException", "502 ENILimitReachedException",
		"502 SubnetIPAddressLimitReachedException", "502 InvalidSecurityGroupIDException", "502 InvalidSubnetIDException",
		"408 EFSMountConnectivityException", "403 EFSMountFailureException", "408 EFSMountTimeoutException",
		"408 S3FilesMountConnectivityException", "403 S3FilesMountFailureException", "408 S3FilesMountTimeoutException",
		"400 SnapStartException", "408 SnapStartTimeoutException", "409 SnapStartRegenerationFailureException",
		"409 RuntimeAliasDeletedException", "409 RuntimeVersionDeletedException",
		"400 CodeStorageExceededException", "402 ServiceQuotaExceededException", "400 AliasLimitExceededException",
		"400 CapacityProviderLimitExceededException", "400 FunctionVersionsPerCapacityProviderLimitExceededException",
		"404 CodeSigningConfigNotFoundException", "400 CodeVerificationFailedException", "400 InvalidCodeSignatureException",
	},
	refused: {
		"400 InvalidParameterValueException", "400 InvalidRequestContentException", "502 InvalidRuntimeException",
		"502 InvalidZipFileException", "413 RequestTooLargeException", "413 SerializedRequestEntityTooLargeException",
		"415 UnsupportedMediaTypeException", "400 RecursiveInvocationException", "400 ModeNotSupportedException",
		"400 NoPublishedVersionException", "412 PreconditionFailedException", "400 PolicyLengthExceededException",
		"400 PublicPolicyException", "404 ProvisionedConcurrencyConfigNotFoundException", "400 CallbackTimeoutException",
		"409 DurableExecutionAlreadyStartedException", "418 SomethingNewException",
	},
}

// parse parses a row of answers.
func parse(t *testing.T, row string) lambda.Error {
	t.Helper()
	status, rest, _ := strings.Cut(row, " ")
	code, message, _ := strings.Cut(rest, ": ")
	n, err := strconv.Atoi(status)
	if err != nil {
		t.Fatal(err)
	}
	return lambda.Error{Status: n, Code: code, Message: message}
}

func TestRunSaysWhetherItMayHaveExecutedWhateverLambdaAnswers(t *testing.T) {
	f := start(t)
	tenants := map[string]string{} // by row
	for want, rows := range answers {
		for _, row := range rows {
			tenant := fmt.Sprint("tenant-", len(tenants))
			tenants[row] = tenant
			f.play(tenant, parse(t, row))
			// An error that ends the run is answered before the function is looked
			// up.
			if want == putBack || want == repeated {
				f.create(tenant)
			}
			f.send(tenant)
		}
	}
	for want, rows := range answers {
		for _, row := range rows {
			d := f.await(tenants[row]).Data
			got := fate{status: d.Status, attempt: d.Attempt, mayHave: d.MayHaveExecuted}
			if d.Error != nil {
				got.kind, got.owner = d.Error.Type, d.Error.Owner
			}
			if got != want {
				t.Errorf("%s: the run ends as %+v, want %+v: %v", row, got, want, d.Error)
			}
		}
	}
}

// The tenant's session is replaced too; it is not enough to put the run back.
func TestRunIsSignedByAnotherSessionAfterOneWasRefused(t *testing.T) {
	f := start(t)
	f.create("acme")
	f.play("acme", lambda.Error{Status: 403, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"})
	f.send("acme")
	if d := f.await("acme").Data; d.Status != run.Succeeded || d.Attempt != 1 {
		t.Errorf("the run ends as %s of attempt %d: %v", d.Status, d.Attempt, d.Error)
	}
	if n := len(f.sessions.of("acme")); n != 2 {
		t.Errorf("it was signed by %d sessions, want 2", n)
	}
}

func TestEveryErrorOfTheSDKIsPlayed(t *testing.T) {
	var played []string
	for _, rows := range answers {
		for _, row := range rows {
			played = append(played, parse(t, row).Code)
		}
	}
	for id, entry := range sdk.TypeRegistry.Entries {
		if e, ok := entry.New().(smithy.APIError); ok && !slices.Contains(played, e.ErrorCode()) {
			t.Errorf("%s is not played: add it to answers", id)
		}
	}
}
