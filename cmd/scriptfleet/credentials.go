package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

type credentialsCommand struct {
	Add    credentialsAdd    `cmd:"" help:"Add a role to a tenant's credentials, and print the trust policy that it needs."`
	List   credentialsList   `cmd:"" help:"List the credentials of the settings file."`
	Policy credentialsPolicy `cmd:"" help:"Print the trust policy of a tenant's roles again."`
	Check  credentialsCheck  `cmd:"" help:"Assume credentials' roles, and say what stands in the way."`
	Remove credentialsRemove `cmd:"" help:"Remove a credential from the settings file."`
}

// credentialsFile has the flags of all commands on credentials.
type credentialsFile struct {
	config.Tenants
	JSON bool `name:"json" help:"Print JSON."`
}

var errNoTenantsFile = exitError{exitUsage, errors.New("no file of the tenants' settings is named: give --tenants FILE, the file that dispatcher and worker have; add makes it if it is missing")}

// read reads the settings file.
func (c credentialsFile) read() (*tenant.Settings, error) {
	if c.TenantsFile == "" {
		return nil, errNoTenantsFile
	}
	file, err := tenant.New(tenant.Config{Path: c.TenantsFile}, tenant.Deps{})
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return file.Settings(), nil
}

// edit changes the settings file.
func (c credentialsFile) edit(change func(*tenant.Draft) error) error {
	if c.TenantsFile == "" {
		return errNoTenantsFile
	}
	return tenant.Edit(c.TenantsFile, change)
}

// platform are the settings that name the platform's accounts.
type platform struct {
	config.Platform
	RoleARN string `name:"role-arn" help:"Role of the functions; its account is one of the platform's."`
}

// accounts are the accounts of the settings; if there are none, the account of
// this command's own AWS keys.
func (p platform) accounts(ctx context.Context) ([]string, error) {
	accounts, err := wire.Platform(p.Platform, p.RoleARN)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	if len(accounts) > 0 {
		return accounts, nil
	}
	cfg, err := wire.AWS(ctx)
	if err == nil {
		_, account, errAsk := wire.Identity(ctx, cfg)
		if errAsk == nil {
			return []string{account}, nil
		}
		err = errAsk
	}
	return nil, exitError{exitUsage, fmt.Errorf("the platform's accounts are not known: give --platform-account once for each (%w)", err)}
}

type credentialsAdd struct {
	credentialsFile
	platform
	Tenant   string   `arg:"" help:"Tenant whose scripts may use it."`
	Name     string   `arg:"" help:"Name by which requests ask for it, such as aws-prod."`
	Role     string   `required:"" placeholder:"ARN" help:"ARN of the role, in the tenant's AWS account."`
	Runtimes []string `name:"runtime" help:"Runtime that may use it, such as aws-cli; once for each. All by default."`
	Replace  bool     `help:"Replace a credential of this name that has another role or other runtimes."`
}

// Help is shown below the flags.
func (credentialsAdd) Help() string {
	return `On stdout stands the trust policy for the owner of the AWS account to paste into the role. It names the platform's accounts, and the external ID, which is made at random once for a tenant and cannot be typed. The fleet reads the changed file within seconds. The same command again changes nothing and prints the policy again.

Examples:

  scriptfleet credentials add acme aws-prod --role arn:aws:iam::111122223333:role/scripts --platform-account 444455556666 --platform-account 777788889999 --tenants tenants.json
  scriptfleet credentials add acme cli-only --role arn:aws:iam::111122223333:role/cli --runtime aws-cli > trust.json`
}

func (c *credentialsAdd) Run(ctx context.Context) error {
	account, err := credential.CheckRoleARN(c.Role)
	if err != nil {
		return exitError{exitUsage, fmt.Errorf("--role: %w", err)}
	}
	accounts, err := c.accounts(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(accounts, account) {
		return exitError{exitUsage, fmt.Errorf("--role: %s is in account %s, which is the platform's own: a script with it could act as the platform. Take a role in the tenant's account", c.Role, account)}
	}
	role := credential.Role{ARN: c.Role, Runtimes: c.Runtimes}
	err = c.edit(func(d *tenant.Draft) error {
		if role.ExternalID = d.ExternalID(c.Tenant); role.ExternalID == "" {
			role.ExternalID = credential.NewExternalID()
		}
		old, there := d.Settings().Role(c.Tenant, c.Name)
		if there && !c.Replace && (old.ARN != role.ARN || !slices.Equal(old.Runtimes, role.Runtimes)) {
			return exitError{exitUsage, fmt.Errorf("tenant %s has a credential %q already, %s: give --replace to replace it", c.Tenant, c.Name, old.ARN)}
		}
		return d.SetCredential(c.Tenant, c.Name, role)
	})
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintf(os.Stderr, "scriptfleet: %s has the credential %q in %s. %s needs this trust policy; then: scriptfleet credentials check %s %s\n",
			c.Tenant, c.Name, c.TenantsFile, c.Role, c.Tenant, c.Name)
	}
	return printPolicy(c.JSON, tenant.Credential{Tenant: c.Tenant, Name: c.Name, Role: role}, accounts)
}

// shownCredential is a credential in JSON output.
type shownCredential struct {
	Tenant      string          `json:"tenant"`
	Credential  string          `json:"credential"`
	RoleARN     string          `json:"role_arn"`
	Runtimes    []string        `json:"runtimes"`
	ExternalID  string          `json:"external_id,omitempty"`
	TrustPolicy json.RawMessage `json:"trust_policy,omitempty"`
}

func shown(c tenant.Credential) shownCredential {
	runtimes := c.Runtimes
	if runtimes == nil {
		runtimes = []string{}
	}
	return shownCredential{Tenant: c.Tenant, Credential: c.Name, RoleARN: c.ARN, Runtimes: runtimes}
}

// printPolicy prints the trust policy of a credential's role.
func printPolicy(asJSON bool, c tenant.Credential, accounts []string) error {
	policy := credential.TrustPolicy(accounts, c.ARN, c.ExternalID)
	if !asJSON {
		fmt.Print(policy)
		return nil
	}
	s := shown(c)
	s.ExternalID, s.TrustPolicy = c.ExternalID, json.RawMessage(policy)
	return printJSON(s)
}

type credentialsPolicy struct {
	credentialsFile
	platform
	Tenant string `arg:"" help:"The tenant."`
	Name   string `arg:"" optional:"" help:"One of its credentials; all roles of a tenant need the same policy."`
}

// Help is shown below the flags.
func (credentialsPolicy) Help() string {
	return `Examples:

  scriptfleet credentials policy acme --tenants tenants.json > trust.json`
}

func (c *credentialsPolicy) Run(ctx context.Context) error {
	found, err := c.find(c.Tenant, c.Name)
	if err != nil {
		return err
	}
	accounts, err := c.accounts(ctx)
	if err != nil {
		return err
	}
	return printPolicy(c.JSON, found[0], accounts)
}

// find returns the credentials of a tenant, or of all tenants; it fails if
// there are none.
func (c credentialsFile) find(of, name string) ([]tenant.Credential, error) {
	settings, err := c.read()
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(settings.Credentials(), func(have tenant.Credential) bool {
		return of != "" && have.Tenant != of || name != "" && have.Name != name
	})
	if len(found) == 0 {
		return nil, exitError{exitUsage, fmt.Errorf("%s has no such credential: see scriptfleet credentials list, or add it with scriptfleet credentials add", c.TenantsFile)}
	}
	return found, nil
}

type credentialsRemove struct {
	credentialsFile
	Tenant string `arg:"" help:"The tenant."`
	Name   string `arg:"" help:"The credential."`
}

// Help is shown below the flags.
func (credentialsRemove) Help() string {
	return `Runs that ask for it find no credential once the fleet has read the changed file, within seconds; keys that were given stay valid until they expire, an hour at most. The tenant keeps its external ID.

Examples:

  scriptfleet credentials remove acme aws-prod --tenants tenants.json`
}

func (c *credentialsRemove) Run() error {
	var gone tenant.Credential
	err := c.edit(func(d *tenant.Draft) error {
		role, _ := d.Settings().Role(c.Tenant, c.Name)
		gone = tenant.Credential{Tenant: c.Tenant, Name: c.Name, Role: role}
		return d.RemoveCredential(c.Tenant, c.Name)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(shown(gone))
	}
	fmt.Fprintf(os.Stderr, "scriptfleet: removed the credential %q of %s, %s\n", c.Name, c.Tenant, gone.ARN)
	return nil
}
