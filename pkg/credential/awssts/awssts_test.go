package awssts

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	localsts "github.com/scriptfleet/scriptfleet/pkg/localaws/sts"
)

const (
	account = "000000000000"
	prod    = "arn:aws:iam::111111111111:role/prod"
	open    = "arn:aws:iam::111111111111:role/open"
	tenants = "arn:aws:iam::000000000000:role/tenants"
)

// embedded is the AWS SDK with the STS of the embedded stack.
func embedded(t *testing.T) *STS {
	t.Helper()
	keys, err := auth.NewKeys(account, "AKIAROOT", "secret")
	if err != nil {
		t.Fatal(err)
	}
	keys.AddRole(auth.Role{ARN: prod, ExternalIDs: []string{"made-by-us"}, Policy: auth.AllowAll()})
	keys.AddRole(auth.Role{ARN: open, Policy: auth.AllowAll()})
	keys.AddRole(auth.Role{ARN: tenants, Policy: auth.AllowAll()})
	server := httptest.NewServer(auth.NewVerifier(keys, nil, nil).Verify(localsts.New(account, keys)))
	t.Cleanup(server.Close)
	return New(awssdk.New(awssdk.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAROOT", "secret", ""),
	}))
}

type roles map[string]credential.Role

func (r roles) Role(_, name string) (credential.Role, bool) { role, ok := r[name]; return role, ok }

func TestTheSDKAssumesRolesOfTheEmbeddedStack(t *testing.T) {
	a, err := credential.NewAssumer(credential.AssumerConfig{OwnAccounts: []string{account}}, credential.AssumerDeps{
		STS: embedded(t),
		Roles: roles{"prod": {ARN: prod, ExternalID: "made-by-us"}, "wrong": {ARN: prod, ExternalID: "made-by-others"},
			"open": {ARN: open, ExternalID: "made-by-us"}, "gone": {ARN: prod + "x", ExternalID: "made-by-us"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := a.Assume(t.Context(), credential.Ask{Tenant: "acme", Credential: "prod", Run: "run-1"})
	if left := time.Until(got.AWS.Expires); !got.Success || got.AWS.SessionToken == "" || left < 59*time.Minute {
		t.Errorf("prod: %v %s, %s left", got.Success, got.Reason, left)
	}
	for name, code := range map[string]string{"wrong": "AccessDenied", "gone": "AccessDenied", "open": credential.CodeOpenRole} {
		if got := a.Assume(t.Context(), credential.Ask{Tenant: "acme", Credential: name, Run: "run-1"}); got.Success || !strings.Contains(got.Reason, code) {
			t.Errorf("%s: %v %s, want %s", name, got.Success, got.Reason, code)
		}
	}
}

func TestTheSDKTakesTenantSessionsOfTheEmbeddedStack(t *testing.T) {
	s, err := credential.NewSessions(credential.SessionsConfig{RoleARN: tenants, Region: "us-east-1", Account: account, Prefix: "scriptfleet"},
		credential.SessionsDeps{STS: embedded(t)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Sessions{s}.Session(t.Context(), "acme")
	if err != nil || !c.HasKeys() || c.SessionToken == "" || !c.CanExpire {
		t.Errorf("credentials: %v, keys %v", err, c.HasKeys())
	}
}

func TestOnlyDenialsAreDenials(t *testing.T) {
	for code, want := range map[string]bool{"AccessDenied": true, "ValidationError": true, "Throttling": false, "ExpiredToken": false, "ServiceUnavailable": false} {
		err := classify(&smithy.GenericAPIError{Code: code, Message: "User: arn:aws:iam::1:role/ours is not authorized"})
		var d *credential.DeniedError
		if errors.As(err, &d) != want || !strings.Contains(err.Error(), code) || strings.Contains(err.Error(), "arn:") {
			t.Errorf("%s: %v", code, err)
		}
	}
	for message, want := range map[string]string{
		"User: x is not authorized to perform: sts:AssumeRole on resource: y":                                                                   "AccessDenied",
		"User: x is not authorized to perform: sts:AssumeRole on resource: y because no identity-based policy allows the sts:AssumeRole action": credential.CodePlatform,
		"User: x is not authorized to perform: sts:AssumeRole on resource: y with an explicit deny in a service control policy":                 credential.CodePlatform,
	} {
		var d *credential.DeniedError
		if err := classify(&smithy.GenericAPIError{Code: "AccessDenied", Message: message}); !errors.As(err, &d) || d.Code != want {
			t.Errorf("%s: %v", message, err)
		}
	}
	if err := classify(errors.New("broken pipe")); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Error("an error of the SDK's own was lost")
	}
}
