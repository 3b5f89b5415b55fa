// Package credential assumes the IAM role of a tenant's credential, and gives
// the worker a session that reaches only one tenant's functions.
//
// What must hold:
//
//   - The role and its external ID come from the operator's settings, never
//     from a message: a tenant names a credential, and gets its own or none.
//   - A role in one of our own accounts is refused, and so is one that can be
//     assumed without its external ID, or with any: whoever knew such a role's
//     ARN could have us act in it (the confused deputy). Each role is tried so
//     once a day and worker: two calls of STS that are meant to be denied, and
//     that the tenant sees in its own CloudTrail.
//   - Credentials are kept in memory until five minutes before they expire, by
//     tenant, role, external ID and session policy; for each of these there is
//     one call at a time, however many runs wait for it. Denials are remembered
//     for two minutes, other failures for two seconds: STS takes about 600
//     calls a second, and a tenant whose role is broken must not use them up.
//   - Nothing here tries again by itself. Throttling is the SDK's to retry.
//
// Sessions last an hour, which is the most that AWS gives to a role that
// assumes another; every role allows that much.
package credential

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// AWS is a set of temporary credentials. It travels in invoke payloads only:
// never in an environment of ours, a queue, Redis or a log.
type AWS struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// String keeps credentials out of logs.
func (AWS) String() string { return "[credentials]" }

// GoString keeps credentials out of logs.
func (AWS) GoString() string { return "[credentials]" }

// Request is one AssumeRole.
type Request struct {
	RoleARN     string
	SessionName string        // 2 to 64 of letters, digits and +=,.@-_
	ExternalID  string        // empty for none
	Policy      string        // session policy, at most 2,048 characters; empty for none
	Duration    time.Duration // 15 minutes to an hour
}

// STS is the one call that this package makes; awssts makes it to AWS.
type STS interface {
	// AssumeRole fails with a *DeniedError where STS said no: asking again
	// would be answered the same.
	AssumeRole(ctx context.Context, r Request) (AWS, error)
}

// DeniedError is a refusal, by STS or by a rule of this package.
type DeniedError struct {
	Code   string // STS's own, such as AccessDenied; or OwnAccount, OpenRole, UnknownCredential, InvalidRole
	Reason string
}

func (e *DeniedError) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Reason) }

// ErrorCode is the code, for those that classify errors by their service's codes.
func (e *DeniedError) ErrorCode() string { return e.Code }

// The codes of this package's own refusals.
const (
	CodeUnknown    = "UnknownCredential" // the tenant has no credential of that name
	CodeInvalid    = "InvalidRole"       // the settings' role is no role's ARN
	CodeOwnAccount = "OwnAccount"        // the role is in an account of ours
	CodeOpenRole   = "OpenRole"          // the role can be assumed without its external ID
)

func denied(err error) bool {
	var d *DeniedError
	return errors.As(err, &d)
}

const (
	sessionDuration = time.Hour
	expiryMargin    = 5 * time.Minute
	deniedFor       = 2 * time.Minute
	failedFor       = 2 * time.Second
	callTimeout     = 20 * time.Second // the SDK's own retries included
)
