// Package awssts assumes roles with the AWS SDK.
package awssts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
)

// API is what is needed of [*sts.Client], which retries throttled calls itself.
type API interface {
	AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
}

// STS is AWS's, or the embedded stack's.
type STS struct{ api API }

var _ credential.STS = (*STS)(nil)

// New assumes roles through the client.
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

// denials are the codes that the same request would be answered with again.
// Whatever else fails (throttling, our own expired token, a region that is
// down) may go otherwise next time.
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

// classify keeps STS's own message out: it would tell a tenant our principal's
// name, and says nothing that the code does not.
func classify(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && denials[api.ErrorCode()] {
		return &credential.DeniedError{Code: api.ErrorCode(), Reason: "STS refuses the role: check that it is there, that it trusts the platform, and its external ID"}
	}
	if api != nil {
		return fmt.Errorf("assume role: STS answered %w", codeError(api.ErrorCode()))
	}
	return fmt.Errorf("assume role: %w", err)
}

// codeError is STS's code, without its message.
type codeError string

func (e codeError) Error() string     { return string(e) }
func (e codeError) ErrorCode() string { return string(e) }

// Sessions gives tenants' sessions as the SDK's clients take them.
type Sessions struct{ *credential.Sessions }

// Session returns the tenant's credentials.
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

// Drop has the tenant's next session made again, where the one that is kept has
// this access key.
func (s Sessions) Drop(tenant, accessKeyID string) { s.Sessions.Drop(tenant, accessKeyID) }
