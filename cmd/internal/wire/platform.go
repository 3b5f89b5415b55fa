package wire

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
)

// Platform returns the accounts of the platform, without repetition: those of
// the setting, and the account of the functions' role. The roles in them are
// refused as credentials.
func Platform(p config.Platform, roleARN string) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	add := func(account string) {
		if !seen[account] {
			seen[account] = true
			all = append(all, account)
		}
	}
	for _, account := range p.PlatformAccounts {
		if err := credential.CheckAccount(account); err != nil {
			return nil, fmt.Errorf("--platform-account: %w", err)
		}
		add(account)
	}
	if roleARN != "" {
		account, err := credential.CheckRoleARN(roleARN)
		if err != nil {
			return nil, fmt.Errorf("--role-arn: %w", err)
		}
		add(account)
	}
	return all, nil
}

// Assumer returns an assumer of tenants' roles. log and reg may be nil.
func Assumer(cfg aws.Config, own []string, roles credential.Roles, log *zap.Logger, reg prometheus.Registerer) (*credential.Assumer, error) {
	return credential.NewAssumer(credential.AssumerConfig{OwnAccounts: own}, credential.AssumerDeps{
		STS: awssts.New(sts.NewFromConfig(cfg)), Roles: roles, Log: log, Registerer: reg,
	})
}

// Identity asks STS whose keys the configuration has.
func Identity(ctx context.Context, cfg aws.Config) (arn, account string, err error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", fmt.Errorf("ask STS whose AWS keys these are: %w", err)
	}
	return strings.TrimSpace(aws.ToString(out.Arn)), aws.ToString(out.Account), nil
}
