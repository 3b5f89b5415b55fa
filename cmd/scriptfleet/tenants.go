package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
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

// shownTenant is a tenant in JSON output.
type shownTenant struct {
	Tenant       string  `json:"tenant"`
	State        string  `json:"state" about:"active, paused (by tenants pause), stopped (its max_running is 0), or refused (the file does not name it, and such tenants are refused)."`
	Open         int     `json:"open" about:"Runs that are accepted and not finished."`
	MaxBacklog   int     `json:"max_backlog"`
	Running      *int    `json:"running,omitempty" about:"Runs that execute now; absent for a tenant without a cap."`
	MaxRunning   *int    `json:"max_running,omitempty" about:"Absent where there is no cap."`
	MaxPerScript *int    `json:"max_running_per_script,omitempty" about:"Absent where there is no cap."`
	Weight       int     `json:"weight"`
	Partitions   int     `json:"partitions"`
	MemoryMB     int     `json:"memory_mb,omitempty" about:"Absent for the fleet's own."`
	Share        float64 `json:"share" about:"Its part of the runs that execute now, from 0 to 1."`
	Due          float64 `json:"due" about:"Its part by weight among the tenants with open runs, from 0 to 1."`
	Named        bool    `json:"named" about:"Whether the settings file names it."`
}

func (c *tenantsList) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Redis: c.Redis, Tenants: c.Tenants})
	if err != nil {
		return err
	}
	defer fleet.Close()
	all, err := readTenants(ctx, fleet)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t shownTenant) bool {
		return c.Tenant != "" && t.Tenant != c.Tenant || c.Paused && t.State != "paused" && t.State != "stopped"
	})
	hidden := max(0, len(all)-c.Limit)
	all = all[:len(all)-hidden]
	if c.JSON {
		return printLines(all, asIs[shownTenant])
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

func running(t shownTenant) string {
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

// readTenants reads all tenants that are known, those with the most open runs
// first.
func readTenants(ctx context.Context, fleet *wire.Fleet) ([]shownTenant, error) {
	settings := fleet.Tenants().Settings()
	open, err := fleet.Ledger.AllBacklogs(ctx)
	if err != nil {
		return nil, err
	}
	recent, err := fleet.Ledger.RecentTenants(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Concat(settings.Names(), recent)
	for name := range open {
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	all := make([]shownTenant, len(names))
	named := settings.Names()
	for i, name := range names {
		all[i] = limitsOf(settings, name)
		all[i].Open = open[name]
		_, all[i].Named = slices.BinarySearch(named, name)
	}
	if err := countRunning(ctx, fleet, all); err != nil {
		return nil, err
	}
	divide(all)
	slices.SortStableFunc(all, func(a, b shownTenant) int {
		return cmp.Or(cmp.Compare(b.Open, a.Open), strings.Compare(a.Tenant, b.Tenant))
	})
	return all, nil
}

// limitsOf is a tenant with its limits.
func limitsOf(settings *tenant.Settings, name string) shownTenant {
	l := settings.Limits(name)
	t := shownTenant{Tenant: name, State: "active", MaxBacklog: l.MaxBacklog, Weight: l.Weight, Partitions: l.Partitions, MemoryMB: l.MemoryMB}
	switch {
	case l.Paused:
		t.State = "paused"
	case l.MaxRunning == 0:
		t.State = "stopped"
	case settings.Admit(name) != nil:
		t.State = "refused"
	}
	if l.MaxRunning != tenant.NoCap {
		t.MaxRunning, t.Running = &l.MaxRunning, new(int)
	}
	if l.MaxRunningPerScript != tenant.NoCap {
		t.MaxPerScript = &l.MaxRunningPerScript
	}
	return t
}

// countRunning counts the slots of tenants that may have any.
func countRunning(ctx context.Context, fleet *wire.Fleet, all []shownTenant) error {
	slots := fleet.Slots()
	var asking panics.Group
	asking.SetLimit(readers)
	for _, t := range all {
		if t.Running == nil || t.Open == 0 {
			continue
		}
		asking.Go(func() (err error) {
			if *t.Running, err = slots.InUse(ctx, slot.Scope("tenant", t.Tenant)); err != nil {
				return fmt.Errorf("count the runs of tenant %s: %w", t.Tenant, err)
			}
			return nil
		})
	}
	return asking.Wait()
}

// divide sets the shares.
func divide(all []shownTenant) {
	executing, weights := 0, 0
	for _, t := range all {
		if t.Running != nil {
			executing += *t.Running
		}
		if t.Open > 0 && t.State == "active" {
			weights += t.Weight
		}
	}
	for i, t := range all {
		if t.Running != nil && executing > 0 {
			all[i].Share = float64(*t.Running) / float64(executing)
		}
		if t.Open > 0 && t.State == "active" {
			all[i].Due = float64(t.Weight) / float64(weights)
		}
	}
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
	state := limitsOf(file.Settings(), c.Tenant).State
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
