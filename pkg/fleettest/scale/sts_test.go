package scale

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const stsTakes = 30 * time.Millisecond

// sts assumes every role.
type sts struct {
	limit int

	mu        sync.Mutex
	calls     perSecond
	throttled int
}

func (s *sts) AssumeRole(ctx context.Context, r credential.Request) (credential.AWS, error) {
	// Without the external ID, the roles of the model cannot be assumed.
	if inmemory.Await(ctx, stsTakes); ctx.Err() != nil {
		return credential.AWS{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.calls.count(time.Now(), s.limit) {
		s.throttled++
		return credential.AWS{}, fmt.Errorf("Throttling: %d calls in this second", s.calls.n)
	}
	if r.RoleARN != tenantRole && r.ExternalID != externalID {
		return credential.AWS{}, &credential.DeniedError{Code: "AccessDenied", Reason: "the model's roles need their external ID"}
	}
	return credential.AWS{AccessKeyID: "AKIA", SecretAccessKey: "s", SessionToken: "t", Expires: time.Now().Add(r.Duration)}, nil
}

const (
	tenantRole = "arn:aws:iam::111111111111:role/scriptfleet-tenant"
	externalID = "an-external-id-of-a-tenant"
)

// roles gives each tenant a role of its own.
type roles struct{}

func (roles) Role(tenant, _ string) (credential.Role, bool) {
	return credential.Role{ARN: "arn:aws:iam::222222222222:role/" + tenant, ExternalID: externalID}, true
}

// credentials is what a worker gets from the credential package.
type credentials struct{ of *credential.Assumer }

func (c credentials) Assume(ctx context.Context, r run.Run) function.Credentials {
	got := c.of.Assume(ctx, credential.Ask{Tenant: r.Tenant, Credential: r.Data.Credential, Runtime: r.Script.Runtime.Name, Run: r.ID})
	return function.Credentials{Success: got.Success, AccessKeyID: got.AWS.AccessKeyID, SecretAccessKey: got.AWS.SecretAccessKey, SessionToken: got.AWS.SessionToken}
}

// signed is Lambda as a worker reaches it: by a session of the tenant.
type signed struct {
	*lambda
	sessions *credential.Sessions
}

func (s signed) Invoke(ctx context.Context, tenant, name string, payload []byte) (function.Invocation, error) {
	if _, err := s.sessions.Session(ctx, tenant); err != nil {
		return function.Invocation{}, refuse(function.Throttled, "Invoke", name, function.NoSession)
	}
	return s.lambda.Invoke(ctx, tenant, name, payload)
}
