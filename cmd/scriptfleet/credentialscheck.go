package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

type credentialsList struct {
	credentialsFile
	Tenant string `arg:"" optional:"" help:"Only those of this tenant."`
}

// Help is shown below the flags.
func (credentialsList) Help() string {
	return `Examples:

  scriptfleet credentials list --tenants tenants.json
  scriptfleet credentials list acme --tenants tenants.json --json | jq -r .role_arn`
}

func (c *credentialsList) Run() error {
	settings, err := c.read()
	if err != nil {
		return err
	}
	found := slices.DeleteFunc(settings.Credentials(), func(have tenant.Credential) bool { return c.Tenant != "" && have.Tenant != c.Tenant })
	if c.JSON {
		return printLines(found, shown)
	}
	return printTable(func(w io.Writer) {
		fmt.Fprintln(w, "TENANT\tCREDENTIAL\tRUNTIMES\tROLE")
		for _, have := range found {
			runtimes := "all"
			if len(have.Runtimes) > 0 {
				runtimes = strings.Join(have.Runtimes, ", ")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", have.Tenant, have.Name, runtimes, have.ARN)
		}
	})
}

type credentialsCheck struct {
	credentialsFile
	platform
	Tenant string `arg:"" optional:"" help:"The tenant; all tenants by default."`
	Name   string `arg:"" optional:"" help:"The credential; all of the tenant's by default."`
}

// Help is shown below the flags.
func (credentialsCheck) Help() string {
	return `Assumes each role as a worker does, with this command's own AWS keys, which must be of a platform account and may do sts:AssumeRole. A role that can be assumed without its external ID is refused, and so is a role in an account of the platform's own. Exit code 1 if a credential cannot be used.

Examples:

  scriptfleet credentials check acme aws-prod --tenants tenants.json
  scriptfleet credentials check --tenants tenants.json --json | jq '.[] | select(.ok | not)'`
}

// checked is the outcome of a check in JSON output.
type checked struct {
	shownCredential
	OK     bool   `json:"ok"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (c *credentialsCheck) Run(ctx context.Context) error {
	found, err := c.find(c.Tenant, c.Name)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	accounts, err := c.accounts(ctx)
	if err != nil {
		return err
	}
	assume, err := c.assumer(ctx, accounts)
	if err != nil {
		return err
	}
	line := progress.Stderr()
	all := make([]checked, len(found))
	refused := 0
	for i, have := range found {
		line.Say("checking %s of %s, %d of %d", have.Name, have.Tenant, i+1, len(found))
		got := assume(ctx, have)
		all[i] = checked{shown(have), got.Success, got.Code, got.Reason}
		if !got.Success {
			refused++
			all[i].TrustPolicy = json.RawMessage(credential.TrustPolicy(accounts, have.ARN, have.ExternalID))
		}
	}
	line.Stop()
	if err := interrupted(ctx, ctx.Err()); err != nil {
		return err
	}
	if err := c.print(all); err != nil {
		return err
	}
	if refused > 0 {
		return exitError{exitFailed, fmt.Errorf("%d of %d credentials cannot be used", refused, len(all))}
	}
	return nil
}

// assumer returns the check of one credential. It fails if this command's keys
// are of no account of the platform, since no role would trust them.
func (c *credentialsCheck) assumer(ctx context.Context, accounts []string) (func(context.Context, tenant.Credential) credential.Assumed, error) {
	cfg, err := wire.AWS(ctx)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	arn, account, err := wire.Identity(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(accounts, account) {
		return nil, exitError{exitUsage, fmt.Errorf("this command's AWS keys are of %s, in account %s, and the platform's accounts are %s: take keys of one of them, or give --platform-account %s",
			arn, account, strings.Join(accounts, " and "), account)}
	}
	settings, err := c.read()
	if err != nil {
		return nil, err
	}
	assumer, err := wire.Assumer(cfg, accounts, settings, nil, nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, have tenant.Credential) credential.Assumed {
		return assumer.Assume(ctx, credential.Ask{Tenant: have.Tenant, Credential: have.Name, Run: "check"})
	}, nil
}

func (c *credentialsCheck) print(all []checked) error {
	if c.JSON {
		return printLines(all, asIs[checked])
	}
	for _, one := range all {
		if one.OK {
			fmt.Printf("%s %s: can be used; %s can be assumed with its external ID, and only with it.\n", one.Tenant, one.Credential, one.RoleARN)
			continue
		}
		fmt.Printf("%s %s: %s\n", one.Tenant, one.Credential, one.Reason)
		if one.Code != credential.CodeOwnAccount {
			fmt.Fprintf(os.Stderr, "The trust policy of %s has to be:\n%s", one.RoleARN, one.TrustPolicy)
		}
	}
	return nil
}
