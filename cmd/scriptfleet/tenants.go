package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

type tenantsCommand struct {
	List   tenantsList   `cmd:"" default:"withargs" help:"List tenants: their limits beside their use."`
	Pause  tenantsPause  `cmd:"" help:"Let a tenant's runs wait."`
	Resume tenantsResume `cmd:"" help:"Let a paused tenant's runs go on."`
}

type tenantsList struct {
	operator
	config.Redis
	config.Tenants
	Tenant string `help:"Only this one."`
	Paused bool   `help:"Only those that are paused or stopped."`
	Limit  int    `default:"50" min:"1" max:"1000000" help:"At most so many, those with the most open runs first."`
}

// Help is shown below the flags.
func (tenantsList) Help() string {
	return `The tenants that the settings file names, that have open runs, or that had a run lately. RUNNING are its runs that execute now in the whole fleet, and its cap; it is not counted for a tenant without a cap. SHARE is its part of all that execute; DUE is its part by weight among the tenants with open runs. Without --tenants, the limits are the defaults.

Examples:

  scriptfleet tenants list --tenants tenants.json
  scriptfleet tenants --paused                          # list is the default
  scriptfleet tenants --json | jq 'select(.open > 1000) | .tenant'`
}

func (c *tenantsList) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Redis: c.Redis, Tenants: c.Tenants})
	if err != nil {
		return err
	}
	defer fleet.Close()
	all, err := look.Tenants(ctx, fleet)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t look.Tenant) bool {
		return c.Tenant != "" && t.Tenant != c.Tenant || c.Paused && t.State != "paused" && t.State != "stopped"
	})
	hidden := max(0, len(all)-c.Limit)
	all = all[:len(all)-hidden]
	if c.JSON {
		return printLines(all, asIs[look.Tenant])
	}
	return printTable(func(w io.Writer) {
		row(w, "TENANT", "STATE", "RUNNING", "OPEN", "BUDGET", "WEIGHT", "SHARE", "DUE")
		for _, t := range all {
			row(w, t.Tenant, t.State, running(t), t.Open, t.MaxBacklog, t.Weight, percent(t.Share), percent(t.Due))
		}
		if hidden > 0 {
			fmt.Fprintf(w, "… and %d more: --limit\n", hidden)
		}
	})
}

func running(t look.Tenant) string {
	if t.MaxRunning == nil {
		return "not counted, no cap"
	}
	return fmt.Sprintf("%d of %d", *t.Running, *t.MaxRunning)
}

func percent(part float64) string {
	if part == 0 {
		return ""
	}
	return strconv.FormatFloat(100*part, 'f', 1, 64) + " %"
}

// tenantsEdit has the flags of the commands that change the settings file.
type tenantsEdit struct {
	config.Tenants
	Tenant string `arg:"" help:"The tenant."`
	JSON   bool   `name:"json" help:"Print JSON, one object a line (scriptfleet schema)."`
}

// edited is the output of pause and resume.
type edited struct {
	Tenant string `json:"tenant"`
	State  string `json:"state"`
	File   string `json:"file" about:"The settings file that was changed."`
}

// edit changes the file and tells the tenant's state after that.
func (c tenantsEdit) edit(change func(d *tenant.Draft, name string) error, did string) error {
	if c.TenantsFile == "" {
		return exitError{exitUsage, errors.New("no file of the tenants' settings is named: give --tenants FILE, the file that dispatcher and worker have")}
	}
	if err := tenant.Edit(c.TenantsFile, func(d *tenant.Draft) error { return change(d, c.Tenant) }); err != nil {
		return err
	}
	file, err := tenant.New(tenant.Config{Path: c.TenantsFile}, tenant.Deps{})
	if err != nil {
		return err
	}
	state := look.LimitsOf(file.Settings(), c.Tenant).State
	if c.JSON {
		return printJSON(edited{c.Tenant, state, c.TenantsFile})
	}
	fmt.Printf("%s is %s in %s; %s\n", c.Tenant, state, c.TenantsFile, did)
	return nil
}

type tenantsPause struct{ tenantsEdit }

// Help is shown below the flags.
func (tenantsPause) Help() string {
	return `Sets "paused" for the tenant in the settings file, which the fleet reads again within seconds. Its runs are accepted and wait; those that execute are not ended. After three and a half days a run that waits ends as expired, because its queue would drop it after four. The file is replaced whole, so that no process reads half of it. It has the pause, and not Redis: a pause must not end because Redis was lost. Where the file comes from a ConfigMap, change your copy with this command and apply that.

Examples:

  scriptfleet tenants pause acme --tenants /etc/scriptfleet/tenants.json`
}

func (c *tenantsPause) Run() error {
	return c.edit((*tenant.Draft).Pause, "its runs wait within seconds, and those that execute end by themselves")
}

type tenantsResume struct{ tenantsEdit }

// Help is shown below the flags.
func (tenantsResume) Help() string {
	return `Examples:

  scriptfleet tenants resume acme --tenants /etc/scriptfleet/tenants.json`
}

func (c *tenantsResume) Run() error {
	return c.edit((*tenant.Draft).Resume, "its runs go on within seconds, and after a long pause within 15 minutes")
}
