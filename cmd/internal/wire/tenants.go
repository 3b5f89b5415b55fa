package wire

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/awslambda"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

// Tenants are the operator's settings of tenants.
func (f *Fleet) Tenants() *tenant.File { return f.tenants }

// sessions makes the sessions that sign a tenant's invocations; it is nil if no
// tenant role is set.
func (f *Fleet) sessions(w config.Worker) (awslambda.Sessions, error) {
	if w.TenantRoleARN == "" {
		return nil, nil
	}
	account, err := credential.CheckRoleARN(w.TenantRoleARN)
	if err != nil {
		return nil, fmt.Errorf("--tenant-role-arn: %w", err)
	}
	partition, _, _ := strings.Cut(strings.TrimPrefix(w.TenantRoleARN, "arn:"), ":")
	sessions, err := credential.NewSessions(credential.SessionsConfig{
		RoleARN: w.TenantRoleARN, Partition: partition, Region: f.aws.Region, Account: account, Prefix: f.Settings.Prefix,
	}, credential.SessionsDeps{STS: awssts.New(sts.NewFromConfig(f.aws)), Registerer: f.Registry})
	if err != nil {
		return nil, err
	}
	return awssts.Sessions{Sessions: sessions}, nil
}

// credentials assumes tenants' roles.
func (f *Fleet) credentials(w config.Worker) (worker.Credentials, error) {
	own, err := Platform(w.Platform, w.RoleARN)
	if err != nil {
		return nil, err
	}
	assumer, err := Assumer(f.aws, own, f.tenants, f.Log, f.Registry)
	if err != nil {
		return nil, err
	}
	return assumed{assumer}, nil
}

// assumed converts a role's credentials to function.Credentials.
type assumed struct{ *credential.Assumer }

func (a assumed) Assume(ctx context.Context, r run.Run) function.Credentials {
	got := a.Assumer.Assume(ctx, credential.Ask{
		Tenant: r.Tenant, Credential: r.Data.Credential, Runtime: r.Script.Runtime.Name, Run: string(r.Key),
	})
	if !got.Success {
		return function.Credentials{Error: got.Reason}
	}
	return function.Credentials{
		Success: true, AccessKeyID: got.AWS.AccessKeyID, SecretAccessKey: got.AWS.SecretAccessKey, SessionToken: got.AWS.SessionToken,
		Expiration: got.AWS.Expires.UTC().Format(time.RFC3339),
	}
}
