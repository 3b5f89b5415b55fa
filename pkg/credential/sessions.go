package credential

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// SessionsConfig configures Sessions.
type SessionsConfig struct {
	RoleARN   string // the platform's tenant role, which may invoke every function of the fleet
	Partition string // default aws
	Region    string
	Account   string // the account of the functions
	Prefix    string // of the functions' names
	MaxKept   int    // sessions in memory, about 2 KB each; default 50,000
}

// SessionsDeps are the dependencies of Sessions.
type SessionsDeps struct {
	STS        STS
	Registerer prometheus.Registerer // nil registers no metrics
}

// Sessions makes credentials for each tenant, which allow to invoke that
// tenant's functions and nothing else: the tenant role, restricted by a session
// policy. If a bug in the worker calls a function of another tenant, Lambda
// refuses the call. It is safe for concurrent use.
type Sessions struct {
	cfg    SessionsConfig
	sts    STS
	kept   *cache
	meters meters
}

var region = regexp.MustCompile(`^[a-z0-9-]+$`)

// NewSessions returns Sessions. It fails for an invalid configuration.
func NewSessions(cfg SessionsConfig, deps SessionsDeps) (*Sessions, error) {
	if cfg.Partition == "" {
		cfg.Partition = "aws"
	}
	if cfg.MaxKept <= 0 {
		cfg.MaxKept = 50_000
	}
	_, err := CheckRoleARN(cfg.RoleARN)
	switch {
	case err != nil:
		return nil, fmt.Errorf("make tenant sessions: %w", err)
	case !region.MatchString(cfg.Region), !region.MatchString(cfg.Partition):
		return nil, fmt.Errorf("make tenant sessions: region %q or partition %q is invalid", cfg.Region, cfg.Partition)
	case !accountID.MatchString(cfg.Account):
		return nil, fmt.Errorf("make tenant sessions: account %q is not 12 digits", cfg.Account)
	}
	if err := run.CheckPrefix(cfg.Prefix); err != nil {
		return nil, fmt.Errorf("make tenant sessions: %w", err)
	}
	return &Sessions{cfg: cfg, sts: deps.STS, kept: newCache(cfg.MaxKept, sessionMargin), meters: newMeters(deps.Registerer, "session")}, nil
}

// Session returns the tenant's credentials, valid for at least five more
// minutes. It fails with a *DeniedError, or with the error of the call of STS.
func (s *Sessions) Session(ctx context.Context, tenant string) (AWS, error) {
	creds, err := s.kept.get(ctx, tenant, func(ctx context.Context) (AWS, error) {
		creds, err := s.sts.AssumeRole(ctx, Request{
			RoleARN:     s.cfg.RoleARN,
			SessionName: sessionName(tenant, "scriptfleet"),
			Policy:      s.policy(tenant),
			Duration:    sessionDuration,
		})
		s.meters.done(err)
		return creds, err
	})
	if err != nil {
		return AWS{}, fmt.Errorf("assume session of tenant %s: %w", tenant, err)
	}
	return creds, nil
}

// Drop forgets the tenant's session if it has this access key, so that the next
// Session makes another. Call it when AWS refuses a session before it has
// expired. A session that was made since is kept.
func (s *Sessions) Drop(tenant, accessKeyID string) {
	s.kept.drop(tenant, func(a answer) bool { return a.creds.AccessKeyID == accessKeyID })
}

// policy allows to invoke the functions whose names begin with
// run.TenantPrefix, which are the tenant's functions and no others.
func (s *Sessions) policy(tenant string) string {
	type statement struct {
		Effect, Action, Resource string
	}
	p, err := json.Marshal(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{
		Effect: "Allow",
		Action: "lambda:InvokeFunction",
		Resource: fmt.Sprintf("arn:%s:lambda:%s:%s:function:%s*", s.cfg.Partition, s.cfg.Region, s.cfg.Account,
			run.TenantPrefix(s.cfg.Prefix, tenant)),
	}}})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(p)
}
