// Package credential assumes the IAM roles of tenants' credentials. It also
// makes the sessions with which the worker calls a tenant's functions and no
// others.
//
// The rules:
//
//   - The role and its external ID come from the operator's settings, never
//     from a request. A request names a credential, and gets the one of its own
//     tenant or none.
//   - A role in one of the platform's accounts is refused. So is a role that
//     can be assumed without its external ID, or with any: another tenant that
//     learnt its ARN could have the platform act in it (the confused deputy).
//     To check that, each worker probes each role once a day, or every ten
//     minutes while the role is open, with at most two calls of STS that should
//     be denied. The tenant sees them in its CloudTrail.
//   - A script's credentials are valid for at least 20 minutes when it gets
//     them: longer than the longest timeout, 900 s. They are kept in memory
//     until then, and a tenant's session until five minutes before it expires.
//     For each role and external ID of a tenant, and for each tenant's session,
//     there is one call at a time, for all runs that wait for it. Denials are
//     remembered for two minutes, other failures for two seconds: STS takes
//     about 600 calls a second, and a tenant with a broken role must not use
//     them up.
//   - A refusal is a sentence for the script's author: what prevents the
//     credential, and who can mend it.
//   - This package retries nothing. The SDK retries throttled calls.
//
// Sessions last an hour. That is the longest that AWS allows if the worker
// itself runs with an assumed role, and every role allows it.
package credential

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// AWS is a set of temporary credentials. It must be sent in invoke payloads
// only, and never be put into an environment variable, a queue, Redis or a log.
type AWS struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// String hides the credentials from logs.
func (AWS) String() string { return "[credentials]" }

// GoString hides the credentials from logs.
func (AWS) GoString() string { return "[credentials]" }

// Request is the parameters of an AssumeRole.
type Request struct {
	RoleARN     string
	SessionName string        // 2 to 64 of letters, digits and +=,.@-_
	ExternalID  string        // empty for none
	Policy      string        // session policy, at most 2,048 characters; empty for none
	Duration    time.Duration // 15 minutes to an hour
}

// STS is the service that this package calls. awssts implements it on AWS.
type STS interface {
	// AssumeRole fails with a *DeniedError if STS denied the request: the same
	// request would be denied again.
	AssumeRole(ctx context.Context, r Request) (AWS, error)
}

// DeniedError is a refusal, by STS or by a rule of this package.
type DeniedError struct {
	Code   string // STS's code, such as AccessDenied, or one of the constants below
	Reason string
}

func (e *DeniedError) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Reason) }

// ErrorCode returns the code, like the errors of the AWS SDK.
func (e *DeniedError) ErrorCode() string { return e.Code }

// The codes of the refusals that this package makes itself.
const (
	CodeUnknown    = "UnknownCredential"  // the tenant has no credential of that name
	CodeRuntime    = "RuntimeNotAllowed"  // the settings allow the credential for other runtimes only
	CodeInvalid    = "InvalidRole"        // the settings have no valid role ARN, or no external ID
	CodePlatform   = "PlatformNotAllowed" // the platform's identity lacks the permission to assume the role
	CodeOwnAccount = "OwnAccount"         // the role is in an account of the platform
	CodeOpenRole   = "OpenRole"           // the role can be assumed without its external ID
)

func denied(err error) bool {
	var d *DeniedError
	return errors.As(err, &d)
}

const (
	sessionDuration = time.Hour
	roleMargin      = 20 * time.Minute // a timeout of 900 s, an init phase and a repeated call
	sessionMargin   = 5 * time.Minute
	deniedFor       = 2 * time.Minute
	failedFor       = 2 * time.Second
	callTimeout     = 20 * time.Second // of a call of STS with its retries, probes included
)
