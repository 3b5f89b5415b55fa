// Package awssts assumes roles with the AWS SDK.
package awssts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
)

// API is the part of [*sts.Client] that STS uses. The client retries throttled
// calls.
type API interface {
	AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
}

// STS is a credential.STS on the STS of AWS or of the embedded stack.
type STS struct{ api API }

var _ credential.STS = (*STS)(nil)

// New returns an STS that uses the client.
func New(api API) *STS { return &STS{api: api} }

// AssumeRole fails with a *credential.DeniedError for the codes of denials.
func (s *STS) AssumeRole(ctx context.Context, r credential.Request) (credential.AWS, error) {
	out, err := s.api.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         &r.RoleARN,
		RoleSessionName: &r.SessionName,
		ExternalId:      optional(r.ExternalID),
		Policy:          optional(r.Policy),
		DurationSeconds: aws.Int32(int32(r.Duration / time.Second)),
	})
	if err != nil {
		return credential.AWS{}, classify(err)
	}
	c := out.Credentials
	if c == nil || c.Expiration == nil {
		return credential.AWS{}, errors.New("assume role: the answer has no credentials")
	}
	return credential.AWS{
		AccessKeyID: aws.ToString(c.AccessKeyId), SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken: aws.ToString(c.SessionToken), Expires: *c.Expiration,
	}, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// denials are the codes with which STS would answer the same request again.
// After any other error (throttling, an expired token of the worker, a region
// that is down) the same request may succeed later.
var denials = map[string]bool{
	"AccessDenied":                true, // no such role, no trust, wrong external ID
	"AccessDeniedException":       true,
	"ValidationError":             true, // the ARN, the external ID or the duration has a wrong form
	"MalformedPolicyDocument":     true,
	"PackedPolicyTooLarge":        true,
	"RegionDisabledException":     true, // until its owner enables STS there
	"InvalidParameterValue":       true,
	"InvalidParameterCombination": true,
}

// classify makes a DeniedError of a denial. It drops STS's message, which
// contains the name of the platform's principal and no more information than
// the code.
func classify(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && denials[api.ErrorCode()] {
		if ofThePlatform(api.ErrorMessage()) {
			return &credential.DeniedError{Code: credential.CodePlatform, Reason: "the platform's own AWS identity may not call sts:AssumeRole for the role"}
		}
		return &credential.DeniedError{Code: api.ErrorCode(), Reason: "STS refuses the role: check that it is there, that it trusts the platform, and its external ID"}
	}
	if api != nil {
		return fmt.Errorf("assume role: STS answered %w", codeError(api.ErrorCode()))
	}
	return fmt.Errorf("assume role: %w", err)
}

// ofThePlatform tells whether it is the caller's own permissions that lack the
// call, and not the role's trust policy. IAM ends the message of such a denial
// with the kind of policy.
func ofThePlatform(message string) bool {
	for _, policy := range []string{"identity-based policy", "permissions boundary", "service control policy", "session policy"} {
		if strings.Contains(message, policy) {
			return true
		}
	}
	return false
}

// codeError is STS's code, without its message.
type codeError string

func (e codeError) Error() string     { return string(e) }
func (e codeError) ErrorCode() string { return string(e) }

// Sessions is credential.Sessions with the SDK's type of credentials.
type Sessions struct{ *credential.Sessions }

// Session returns the tenant's credentials. See credential.Sessions.
func (s Sessions) Session(ctx context.Context, tenant string) (aws.Credentials, error) {
	c, err := s.Sessions.Session(ctx, tenant)
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Source: "scriptfleet tenant session", CanExpire: true, Expires: c.Expires,
	}, nil
}

// Drop forgets the tenant's session if it has this access key. See
// credential.Sessions.
func (s Sessions) Drop(tenant, accessKeyID string) { s.Sessions.Drop(tenant, accessKeyID) }
