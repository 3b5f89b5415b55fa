package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

type packagesCommand struct {
	UsedBy packagesUsedBy `cmd:"" name:"used-by" help:"List the tenants and scripts whose layers have a package."`
	Deny   packagesDeny   `cmd:"" help:"Deny a package, or one version of it, to all scripts."`
	Allow  packagesAllow  `cmd:"" help:"Take a package off the denied ones."`
	List   packagesList   `cmd:"" help:"List the denied packages."`
}

type packagesUsedBy struct {
	operator
	config.Redis
	Package string `arg:"" help:"A name, such as requests, or one version of it, such as requests==2.31.0."`
}

// Help is shown below the flags.
func (packagesUsedBy) Help() string {
	return `Looks through the functions that Lambda has, and at the records of their layers. A layer without a record (Redis forgot it) is named too, as unknown: it may have the package.

Examples:

  scriptfleet packages used-by requests
  scriptfleet packages used-by requests==2.31.0 --json | jq -r .tenant | sort -u`
}

// packageUse is a function whose layer has a package, in JSON output.
type packageUse struct {
	Package  string    `json:"package"` // name==version, or unknown
	Tenant   string    `json:"tenant"`
	Function string    `json:"function"`
	EnvHash  string    `json:"env_hash"`
	Made     time.Time `json:"made"`
}

func (c *packagesUsedBy) Run(ctx context.Context) error {
	entry, err := run.DeniedEntry(c.Package)
	if err != nil {
		return exitError{exitUsage, fmt.Errorf("%q: %w", c.Package, err)}
	}
	wanted, err := run.NewDenied("", map[string]string{entry: ""})
	if err != nil {
		return exitError{exitUsage, err}
	}
	fleet, err := c.openLedger(ctx, config.Fleet{Redis: c.Redis})
	if err != nil {
		return err
	}
	defer fleet.Close()
	found, err := fleet.Functions(1, nil).List(ctx)
	if err != nil {
		return err
	}
	uses, err := usesOf(ctx, fleet.Records(), found, wanted)
	if err != nil {
		return err
	}
	if c.JSON {
		return printLines(uses, asIs[packageUse])
	}
	return printTable(func(w io.Writer) {
		fmt.Fprintln(w, "PACKAGE\tTENANT\tFUNCTION\tENV\tMADE")
		for _, u := range uses {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Package, u.Tenant, u.Function, u.EnvHash, u.Made.Local().Format(time.DateTime))
		}
	})
}

// unknownPackages stands for the packages of a layer without a record.
const unknownPackages = "unknown"

// usesOf returns the functions whose layers have one of the packages, sorted by
// package, tenant and function.
func usesOf(ctx context.Context, records builds.Records, found []function.Info, wanted run.Denied) ([]packageUse, error) {
	of := map[string]string{} // what each env has, or ""
	uses := []packageUse{}
	for _, f := range found {
		tenant, env, ok := builds.Described(f.Description)
		if !ok || env == "" {
			continue
		}
		has, known := of[string(env)]
		if !known {
			rec, there, err := builds.EnvRecord(ctx, records, env)
			if err != nil {
				return nil, fmt.Errorf("look up the packages of %s: %w", f.Name, err)
			}
			if p, holds := wanted.First(rec.Packages); holds {
				has = p.String()
			} else if !there || len(rec.Packages) == 0 {
				has = unknownPackages
			}
			of[string(env)] = has
		}
		if has != "" {
			uses = append(uses, packageUse{Package: has, Tenant: tenant, Function: f.Name, EnvHash: string(env), Made: f.LastModified})
		}
	}
	slices.SortFunc(uses, func(a, b packageUse) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Function, b.Function))
	})
	return uses, nil
}

type packagesDeny struct {
	credentialsFile
	Package string `arg:"" help:"A name, such as left-pad, or one version, such as requests==2.31.0."`
	Reason  string `help:"Why; authors read it in the error."`
	Ask     string `help:"Whom authors may ask, such as security@example.com; for all denied packages."`
}

// Help is shown below the flags.
func (packagesDeny) Help() string {
	return `Changes the settings file, which the fleet reads again within seconds. From then on no run uses a layer that has the package: layers are built again without it where the requirements allow another version, and where they do not the run ends as build_failed, with an error that names the package, the version and whom to ask.

Examples:

  scriptfleet packages deny requests==2.31.0 --reason CVE-2024-35195 --ask security@example.com --tenants tenants.json
  scriptfleet packages deny left-pad --tenants tenants.json`
}

func (c *packagesDeny) Run() error {
	entry, err := run.DeniedEntry(c.Package)
	if err != nil {
		return exitError{exitUsage, fmt.Errorf("deny %q: %w", c.Package, err)}
	}
	if err := c.edit(func(d *tenant.Draft) error { return d.Deny(entry, c.Reason, c.Ask) }); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(changedPackage{Package: entry, Denied: true, File: c.TenantsFile})
	}
	fmt.Fprintf(os.Stderr, "scriptfleet: %s is denied in %s. Who uses it now: scriptfleet packages used-by %s\n", entry, c.TenantsFile, entry)
	return nil
}

// changedPackage is what deny and allow did, in JSON output.
type changedPackage struct {
	Package string `json:"package"`
	Denied  bool   `json:"denied"`
	File    string `json:"file"`
}

type packagesAllow struct {
	credentialsFile
	Package string `arg:"" help:"As scriptfleet packages list shows it."`
}

// Help is shown below the flags.
func (packagesAllow) Help() string {
	return `Examples:

  scriptfleet packages allow requests==2.31.0 --tenants tenants.json`
}

func (c *packagesAllow) Run() error {
	if err := c.edit(func(d *tenant.Draft) error { return d.Allow(c.Package) }); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(changedPackage{Package: c.Package, File: c.TenantsFile})
	}
	fmt.Fprintf(os.Stderr, "scriptfleet: %s is allowed again\n", c.Package)
	return nil
}

type packagesList struct {
	credentialsFile
}

// Help is shown below the flags.
func (packagesList) Help() string {
	return `Examples:

  scriptfleet packages list --tenants tenants.json
  scriptfleet packages list --json`
}

// deniedPackage is a denied package in JSON output.
type deniedPackage struct {
	Package string `json:"package"`
	Reason  string `json:"reason"`
	Ask     string `json:"ask"`
}

func (c *packagesList) Run() error {
	settings, err := c.read()
	if err != nil {
		return err
	}
	denied := settings.Denied()
	all := []deniedPackage{}
	for _, entry := range denied.Entries() {
		all = append(all, deniedPackage{Package: entry, Reason: denied.Reason(entry), Ask: denied.Ask()})
	}
	if c.JSON {
		return printLines(all, asIs[deniedPackage])
	}
	return printTable(func(w io.Writer) {
		fmt.Fprintln(w, "PACKAGE\tREASON\tASK")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", p.Package, p.Reason, p.Ask)
		}
	})
}
