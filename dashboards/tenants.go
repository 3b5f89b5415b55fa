package dashboards

import "github.com/scriptfleet/scriptfleet/dashboards/board"

// tenantsBoard answers who uses the fleet, who waits for whom, and how one tenant
// fares.
func tenantsBoard() board.Dashboard {
	return board.Dashboard{
		UID: "scriptfleet-tenants", Title: "scriptfleet: tenants",
		Description: "Who uses the fleet, and who waits? A process names the 20 tenants that use most; all others together are _other. Choose a tenant for the last row.",
		Variables: []board.Variable{{
			Name: "tenant", Label: "Tenant", Query: `label_values(scriptfleet_worker_tenant_results_total, tenant)`,
			Description: "The tenant of the last row.",
		}},
		Rows: []board.Row{tenantsGlance(), tenantsFairness(), tenantsChosen()},
	}
}

func tenantsGlance() board.Row {
	return board.Row{Title: "Who uses the fleet now", Panels: []board.Panel{
		{Title: "Backlog", Kind: board.Bars, Unit: board.Count, Width: 6, Tenants: true,
			Description: "Open runs: accepted and not yet ended. The ten tenants with most of those that are named.",
			Queries:     by("tenant", `topk(10, max by (tenant) (scriptfleet_dispatcher_tenant_backlog{@}))`)},
		{Title: "Running", Kind: board.Bars, Unit: board.Count, Width: 6, Tenants: true,
			Description: "Runs that execute now, in all workers.",
			Queries:     by("tenant", `topk(10, sum by (tenant) (scriptfleet_worker_tenant_runs{@,state="running"}))`)},
		{Title: "Share of the seconds used", Kind: board.Bars, Unit: board.Share, Width: 6, Decimals: 1, Max: 1, Tenants: true,
			Limits:      []board.Limit{{At: 0.5, Color: board.Warn}, {At: 0.8, Color: board.Bad}},
			Description: "Part of the seconds that runs used (builds, cold starts, execution), by which workers decide who is next. A high share is no fault while nobody else waits.",
			Queries:     by("tenant", `topk(10, sum by (tenant) (rate(scriptfleet_worker_tenant_used_seconds_total{@}[@])) / ignoring (tenant) group_left () (sum(rate(scriptfleet_worker_tenant_used_seconds_total{@}[@])) > 0))`)},
		{Title: "Mean wait", Kind: board.Bars, Unit: board.Seconds, Width: 6, Decimals: 2, Tenants: true,
			Limits:      []board.Limit{{At: 5, Color: board.Warn}, {At: 60, Color: board.Bad}},
			Description: "Mean time from the arrival of a request until its script began, builds included.",
			Queries:     by("tenant", `topk(10, sum by (tenant) (rate(scriptfleet_worker_tenant_wait_seconds_total{@}[@])) / (sum by (tenant) (rate(scriptfleet_worker_tenant_results_total{@}[@])) > 0))`)},
	}}
}

func tenantsFairness() board.Row {
	return board.Row{Title: "Fairness: does one tenant make others wait?", Panels: []board.Panel{
		{Title: "Seconds used, the largest and all others", Kind: board.Stacked, Unit: board.Cores, Width: 8, Decimals: 2,
			Description: "Seconds used each second: how many runs and builds are at work at a time. The largest tenant at each moment, and everybody else.",
			Queries: []board.Query{
				{Expr: `max(sum by (tenant) (rate(scriptfleet_worker_tenant_used_seconds_total{@,tenant!="_other"}[@])))`, Legend: "largest tenant"},
				{Expr: `sum(rate(scriptfleet_worker_tenant_used_seconds_total{@}[@])) - max(sum by (tenant) (rate(scriptfleet_worker_tenant_used_seconds_total{@,tenant!="_other"}[@])))`, Legend: "all others"},
			}},
		{Title: "Mean wait of a tenant", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Mean time until a script began: of the tenant that waits longest, of the middle one, and of the many small ones. The last two stay low while a tenant floods.",
			Queries: []board.Query{
				{Expr: `max(sum by (tenant) (rate(scriptfleet_worker_tenant_wait_seconds_total{@}[@])) / (sum by (tenant) (rate(scriptfleet_worker_tenant_results_total{@}[@])) > 0))`, Legend: "highest"},
				{Expr: `quantile(0.5, sum by (tenant) (rate(scriptfleet_worker_tenant_wait_seconds_total{@}[@])) / (sum by (tenant) (rate(scriptfleet_worker_tenant_results_total{@}[@])) > 0))`, Legend: "p50"},
				{Expr: `sum(rate(scriptfleet_worker_tenant_wait_seconds_total{@,tenant="_other"}[@])) / (sum(rate(scriptfleet_worker_tenant_results_total{@,tenant="_other"}[@])) > 0)`, Legend: "small tenants"},
			}},
		{Title: "Deliveries in hand by state", Kind: board.Stacked, Unit: board.Count, Width: 8,
			Description: "running: executes. waiting: for a turn, a slot of the tenant's, or its share of the worker. parked: for a build.",
			Queries:     by("state", `sum by (state) (scriptfleet_worker_tenant_runs{@})`)},
		{Title: "Over their backlog budget", Kind: board.Lines, Unit: board.PerSecond, Width: 8, Decimals: 2,
			Description: "Runs that dispatchers send to the side partition, because their tenants are over their budgets, and deliveries that workers put back unread, because their tenants have their share of the worker in hand.",
			Queries: []board.Query{
				{Expr: `sum(rate(scriptfleet_dispatcher_sent_total{@,partition="side"}[@]))`, Legend: "to the side partition"},
				{Expr: `sum(rate(scriptfleet_worker_crowded_total{@}[@]))`, Legend: "put back unread"},
			}},
		{Title: "Results of the many small tenants", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 2,
			Description: "Results of the tenants that are not named, by status.",
			Queries:     by("status", `sum by (status) (rate(scriptfleet_worker_tenant_results_total{@,tenant="_other"}[@]))`)},
		{Title: "Settings", Kind: board.Lines, Unit: board.Count, Width: 8, Alert: "ScriptfleetSettingsFaulty",
			Description: "Tenants that the operator's file names, and processes that go by the last good file because the present one is faulty.",
			Queries: []board.Query{
				{Expr: `max(scriptfleet_tenant_settings_tenants{@})`, Legend: "tenants with settings"},
				{Expr: `sum(scriptfleet_tenant_settings_faulty{@})`, Legend: "processes with a faulty file"},
			}},
	}}
}

func tenantsChosen() board.Row {
	const tenant = `tenant=~"$tenant"`
	return board.Row{Title: "One tenant: $tenant", Panels: []board.Panel{
		{Title: "Results", Kind: board.Stat, Unit: board.PerSecond, Width: 6, Decimals: 2,
			Description: "Results a second of the chosen tenant.",
			Queries:     one(`sum(rate(scriptfleet_worker_tenant_results_total{@,` + tenant + `}[@]))`)},
		{Title: "Succeeded", Kind: board.Stat, Unit: board.Share, Width: 6, Decimals: 1, Falling: true,
			Limits:      []board.Limit{{At: 0.9, Color: board.Warn}},
			Description: "Share of the tenant's results whose script returned. What its authors mend lowers it too.",
			Queries:     one(`(sum(rate(scriptfleet_worker_tenant_results_total{@,` + tenant + `,status="succeeded"}[@])) or vector(0)) / (sum(rate(scriptfleet_worker_tenant_results_total{@,` + tenant + `}[@])) > 0)`)},
		{Title: "Wait", Kind: board.Stat, Unit: board.Seconds, Width: 6, Decimals: 2,
			Limits:      []board.Limit{{At: 5, Color: board.Warn}, {At: 60, Color: board.Bad}},
			Description: "Mean time from the arrival of the tenant's requests until their scripts began.",
			Queries:     one(`sum(rate(scriptfleet_worker_tenant_wait_seconds_total{@,` + tenant + `}[@])) / (sum(rate(scriptfleet_worker_tenant_results_total{@,` + tenant + `}[@])) > 0)`)},
		{Title: "Backlog", Kind: board.Stat, Unit: board.Count, Width: 6,
			Description: "Open runs of the tenant, if it is among the largest backlogs.",
			Queries:     one(`max(scriptfleet_dispatcher_tenant_backlog{@,` + tenant + `}) or vector(0)`)},
		{Title: "Results by status", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 2,
			Description: "Results of the chosen tenant.",
			Queries:     by("status", `sum by (status) (rate(scriptfleet_worker_tenant_results_total{@,`+tenant+`}[@]))`)},
		{Title: "Wait and use of a run", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Means of the chosen tenant: until a script began, and the seconds that a run used.",
			Queries: []board.Query{
				{Expr: `sum(rate(scriptfleet_worker_tenant_wait_seconds_total{@,` + tenant + `}[@])) / (sum(rate(scriptfleet_worker_tenant_results_total{@,` + tenant + `}[@])) > 0)`, Legend: "wait"},
				{Expr: `sum(rate(scriptfleet_worker_tenant_used_seconds_total{@,` + tenant + `}[@])) / (sum(rate(scriptfleet_worker_tenant_results_total{@,` + tenant + `}[@])) > 0)`, Legend: "used"},
			}},
		{Title: "In hand by state", Kind: board.Stacked, Unit: board.Count, Width: 8,
			Description: "Deliveries of the chosen tenant that workers hold. scriptfleet tenants shows them beside its limits.",
			Queries:     by("state", `sum by (state) (scriptfleet_worker_tenant_runs{@,`+tenant+`})`)},
	}}
}
