package dashboards

import (
	"github.com/scriptfleet/scriptfleet/dashboards/board"
	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// buildsBoard answers what builds spare, how long runs wait for them, why they
// fail, and what they wait for.
func buildsBoard() board.Dashboard {
	return board.Dashboard{
		UID: "scriptfleet-builds", Title: "scriptfleet: builds",
		Description: "One build for each script: what that spares, how long runs wait for it, why builds fail, and the budget of Lambda's control plane.",
		Rows:        []board.Row{buildsSpared(), buildsRate(), buildsDurations(), buildsErrors(), buildsSaturation()},
	}
}

func buildsSpared() board.Row {
	return board.Row{Title: "What one build for each script spares, in the time shown", Panels: []board.Panel{
		{Title: "Builds made", Kind: board.Stat, Unit: board.Count, Width: 4,
			Description: "Functions that were built.",
			Queries:     one(`sum(increase(scriptfleet_build_finished_total{@,step="script",outcome="built"}[$__range]))`)},
		{Title: "Runs coalesced", Kind: board.Stat, Unit: board.Count, Width: 4,
			Description: "Runs that waited for a build that was under way, in their worker or in another one, and made none.",
			Queries:     one(`sum(increase(scriptfleet_build_coalesced_total{@}[$__range]))`)},
		{Title: "Build time spared", Kind: board.Stat, Unit: board.Seconds, Width: 4,
			Description: "Seconds of builds that coalesced runs did not make: the duration of the build, for each of them.",
			Queries:     one(`sum(increase(scriptfleet_build_saved_seconds_total{@}[$__range]))`)},
		{Title: "Layers shared", Kind: board.Stat, Unit: board.Share, Width: 4,
			Description: "Of the layers that new scripts needed, those that another script had had built.",
			Queries:     one(`sum(increase(scriptfleet_build_layers_total{@,layer="shared"}[$__range])) / (sum(increase(scriptfleet_build_layers_total{@}[$__range])) > 0)`)},
		{Title: "Builds that failed", Kind: board.Stat, Unit: board.Share, Width: 4,
			Limits:      []board.Limit{{At: 0.2, Color: board.Warn}, {At: 0.5, Color: board.Bad}},
			Description: "Of the builds of scripts that ended, those that failed, for whatever reason. Most are syntax errors and missing requirements.",
			Queries:     one(`sum(increase(scriptfleet_build_finished_total{@,step="script",outcome="failed"}[$__range])) / (sum(increase(scriptfleet_build_finished_total{@,step="script"}[$__range])) > 0)`)},
		{Title: "Failures remembered", Kind: board.Stat, Unit: board.Count, Width: 4,
			Description: "Scripts whose failed build a worker remembers now: their runs get the reason at once, without a build.",
			Queries:     one(`max(scriptfleet_build_failures_remembered{@})`)},
	}}
}

func buildsRate() board.Row {
	return board.Row{Title: "Rate: how runs get their function", Panels: []board.Panel{
		{Title: "Runs by build outcome", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 1,
			Description: "reused: the function was there. bridged: an env runner executed it. built: this run had it built. waited: another run had. failed, remembered_failure: there is none, and the result says why. none: the run ended before.",
			Queries:     by("outcome", `sum by (outcome) (rate(scriptfleet_worker_builds_total{@}[@])) > 0`)},
		{Title: "Builds made, and runs that were spared one", Kind: board.Lines, Unit: board.Ops, Width: 8, Decimals: 2,
			Description: "Builds of scripts that began, and runs that waited for one that was under way.",
			Queries: []board.Query{
				{Expr: `sum(rate(scriptfleet_build_started_total{@,step="script"}[@]))`, Legend: "built"},
				{Expr: `sum(rate(scriptfleet_build_coalesced_total{@}[@]))`, Legend: "waited"},
			}},
		{Title: "Layers of new scripts", Kind: board.Stacked, Unit: board.Ops, Width: 8, Decimals: 2,
			Description: "shared: the layer was there, or another script's build was making it. built: it was made for this script.",
			Queries:     by("layer", `sum by (layer) (rate(scriptfleet_build_layers_total{@}[@]))`)},
	}}
}

func buildsDurations() board.Row {
	return board.Row{Title: "Duration: what a first run waits for", Panels: []board.Panel{
		{Title: "Builds", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Time from the start of a build to its end. That of a script includes that of its env.",
			Queries: []board.Query{
				{Expr: `histogram_quantile(0.5, sum by (le) (rate(scriptfleet_build_duration_seconds_bucket{@,step="script"}[@])))`, Legend: "script p50"},
				{Expr: `histogram_quantile(0.95, sum by (le) (rate(scriptfleet_build_duration_seconds_bucket{@,step="script"}[@])))`, Legend: "script p95"},
				{Expr: `histogram_quantile(0.95, sum by (le) (rate(scriptfleet_build_duration_seconds_bucket{@,step="env"}[@])))`, Legend: "env p95"},
				{Expr: `histogram_quantile(0.95, sum by (le) (rate(scriptfleet_build_duration_seconds_bucket{@,step="runner"}[@])))`, Legend: "env runner p95"},
			}},
		{Title: "Making a layer", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Time to resolve, download, compile and pack requirements. Layers from the worker's cache are not counted.",
			Queries:     percentiles("scriptfleet_layer_build_seconds")},
		{Title: "Mean wait of a run for a build", Kind: board.Stacked, Unit: board.Seconds, Width: 8, Decimals: 3,
			Description: "Over all runs, those that waited for nothing too: the time that a run led a build, and the time that it waited for one.",
			Queries:     by("stage", `sum by (stage) (rate(scriptfleet_worker_stage_seconds_sum{@,stage=~"build|build_wait"}[@])) / ignoring (stage) group_left () (sum(rate(scriptfleet_worker_run_seconds_count{@}[@])) > 0)`)},
	}}
}

func buildsErrors() board.Row {
	return board.Row{Title: "Errors: builds that made nothing", Panels: []board.Panel{
		{Title: "Builds by outcome", Kind: board.Stacked, Unit: board.Ops, Width: 8, Decimals: 2,
			Description: "failed: the author's requirements or syntax, or the platform; the log says which. lost: the worker lost the lease, and another one builds. closed: the worker stopped.",
			Queries:     by("outcome", `sum by (outcome) (rate(scriptfleet_build_finished_total{@,step="script"}[@]))`)},
		{Title: "Layers by outcome", Kind: board.Stacked, Unit: board.Ops, Width: 8, Decimals: 2, Alert: "ScriptfleetBuildsFail",
			Description: "Layers that builds asked for, with the owner of a failure: the author, the operator or the platform.",
			Queries:     by("outcome", `sum by (outcome) (rate(scriptfleet_layer_requests_total{@}[@]))`)},
		{Title: "Runs that fail without a build", Kind: board.Lines, Unit: board.PerSecond, Width: 8, Decimals: 2,
			Description: "Runs of scripts whose failed build is remembered. The author's fault is remembered for five minutes, any other for seconds.",
			Queries:     []board.Query{{Expr: `sum(rate(scriptfleet_worker_builds_total{@,outcome="remembered_failure"}[@]))`, Legend: "remembered_failure"}}},
	}}
}

func buildsSaturation() board.Row {
	return board.Row{Title: "Saturation: the budget of Lambda's control plane, and places in workers", Panels: []board.Panel{
		{Title: "Calls of the control plane", Kind: board.Stacked, Unit: board.Ops, Width: 8, Decimals: 1,
			Limits:      []board.Limit{{At: function.ControlPlane.PerSecond, Color: board.Bad}},
			Description: "The line is the fleet's budget for all but Await, whose limit is 100 a second. Lambda allows 15 a second to all that use the account.",
			Queries:     by("op", `sum by (op) (rate(scriptfleet_build_calls_total{@}[@]))`)},
		{Title: "Wait for a token of the budget", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Time that a call waited because the fleet's budget was used up. Builds that a run waits for go first.",
			Queries:     percentiles("scriptfleet_build_token_wait_seconds")},
		{Title: "Waiting, and throttled calls", Kind: board.Lines, Unit: board.Count, Width: 8, Alert: "ScriptfleetControlPlaneThrottled",
			Description: "Runs that wait for a build, builds that wait for a place in their worker, and calls of the control plane that Lambda answered with 429 in the interval: somebody else uses the account.",
			Queries: []board.Query{
				{Expr: `sum(scriptfleet_build_waiting{@})`, Legend: "waiting"},
				{Expr: `sum(scriptfleet_build_queue{@})`, Legend: "builds without a place"},
				{Expr: `sum(increase(scriptfleet_build_throttled_total{@}[@]))`, Legend: "throttled"},
			}},
	}}
}
