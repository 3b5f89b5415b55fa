package look

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// Tenant is a tenant, with its limits beside their use.
type Tenant struct {
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

// Tenants reads all tenants that are known, those with the most open runs
// first.
func Tenants(ctx context.Context, fleet *wire.Fleet) ([]Tenant, error) {
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
	all := make([]Tenant, len(names))
	for i, name := range names {
		all[i] = tenantOf(settings, name, open[name])
	}
	if err := countRunning(ctx, fleet, all); err != nil {
		return nil, err
	}
	divide(all)
	slices.SortStableFunc(all, func(a, b Tenant) int {
		return cmp.Or(cmp.Compare(b.Open, a.Open), strings.Compare(a.Tenant, b.Tenant))
	})
	return all, nil
}

func tenantOf(settings *tenant.Settings, name string, open int) Tenant {
	t := LimitsOf(settings, name)
	t.Open, t.Named = open, settings.Named(name)
	return t
}

// TenantsNamed reads the tenants of these names, in two round trips. Their shares
// are not set.
func TenantsNamed(ctx context.Context, fleet *wire.Fleet, settings *tenant.Settings, names []string) ([]Tenant, error) {
	open, err := fleet.Ledger.Backlogs(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]Tenant, len(names))
	for i, name := range names {
		all[i] = tenantOf(settings, name, open[i])
	}
	return all, countRunning(ctx, fleet, all)
}

// LimitsOf is a tenant with its limits.
func LimitsOf(settings *tenant.Settings, name string) Tenant {
	l := settings.Limits(name)
	t := Tenant{Tenant: name, State: "active", MaxBacklog: l.MaxBacklog, Weight: l.Weight, Partitions: l.Partitions, MemoryMB: l.MemoryMB}
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
func countRunning(ctx context.Context, fleet *wire.Fleet, all []Tenant) error {
	var capped []*int
	var scopes []string
	for _, t := range all {
		if t.Running != nil && t.Open > 0 {
			capped, scopes = append(capped, t.Running), append(scopes, slot.Scope("tenant", t.Tenant))
		}
	}
	taken, err := fleet.Slots().InUse(ctx, scopes)
	if err != nil {
		return fmt.Errorf("count the runs of tenants: %w", err)
	}
	for i, n := range taken {
		*capped[i] = n
	}
	return nil
}

// divide sets the shares.
func divide(all []Tenant) {
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
