package scale

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
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
	left      time.Duration // while a worker is warmed: how long the next session lasts
}

func (s *sts) AssumeRole(ctx context.Context, r credential.Request) (credential.AWS, error) {
	// Without the external ID, the roles of the model cannot be assumed.
	open := r.RoleARN == tenantRole || r.ExternalID == externalID
	if s.left > 0 {
		return answered(open, s.left)
	}
	if await(ctx, stsTakes); ctx.Err() != nil {
		return credential.AWS{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.calls.count(time.Now(), s.limit) {
		s.throttled++
		return credential.AWS{}, fmt.Errorf("Throttling: %d calls in this second", s.calls.n)
	}
	return answered(open, r.Duration)
}

func answered(open bool, lasts time.Duration) (credential.AWS, error) {
	if !open {
		return credential.AWS{}, &credential.DeniedError{Code: "AccessDenied", Reason: "the model's roles need their external ID"}
	}
	return credential.AWS{AccessKeyID: "AKIA", SecretAccessKey: "s", SessionToken: "t", Expires: time.Now().Add(lasts)}, nil
}

// How long the credential package gives a session, and how long before its end
// it stops.
const (
	sessionFor, sessionMargin = 55 * time.Minute, 5 * time.Minute
	roleFor, roleMargin       = 40 * time.Minute, 20 * time.Minute
	probedFor                 = 24 * time.Hour
)

// warm gives a worker the sessions that it would have after a day of the load at
// its average rate: a session is made by the first run after the end of the last
// one. It also has it know the roles that it would have probed.
func (s *sts) warm(of *stories, workers int, sessions *credential.Sessions, roles *credential.Assumer) {
	defer func() { s.left = 0 }()
	has := func(rate float64, lasts, margin time.Duration) bool {
		runs := rate * lasts.Seconds()
		s.left = margin + time.Duration(of.random.Float64()*float64(lasts))
		return of.random.Float64() < runs/(1+runs)
	}
	for i, a := range of.authors {
		rate := of.rateOf(i) / float64(workers)
		if has(rate, sessionFor, sessionMargin) {
			_, _ = sessions.Session(context.Background(), a.name)
		}
		withRole := 0
		for _, script := range a.scripts {
			if script.role {
				withRole++
			}
		}
		if withRole == 0 {
			continue
		}
		rate *= float64(withRole) / float64(len(a.scripts))
		if !has(rate, roleFor, roleMargin) {
			if !has(rate, probedFor, 0) {
				continue
			}
			s.left = roleMargin // the session is over, and the role is known
		}
		if s.left > 0 {
			roles.Assume(context.Background(), credential.Ask{Tenant: a.name, Credential: "aws"})
		}
	}
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
