package dashboards

import "github.com/scriptfleet/scriptfleet/dashboards/board"

// fleetBoard answers whether the fleet is well, and where it is not, which of its
// parts to look at.
func fleetBoard() board.Dashboard {
	return board.Dashboard{
		UID: "scriptfleet-fleet", Title: "scriptfleet: fleet",
		Description: "Is the fleet well? Promises at a glance, then rates, durations, what waits, what goes wrong, and the processes.",
		Rows:        []board.Row{fleetGlance(), fleetObjectives(), fleetOutcomes(), fleetDurations(), fleetSaturation(), fleetFaults(), fleetProcesses()},
	}
}

func fleetGlance() board.Row {
	return board.Row{Title: "Is it well?", Panels: []board.Panel{
		{Title: "Requests in", Kind: board.Stat, Unit: board.PerSecond, Width: 3, Decimals: 1,
			Description: "Deliveries a second that the dispatchers receive from the requests queue.",
			Queries:     one(`sum(rate(scriptfleet_dispatcher_received_total{@}[@]))`)},
		{Title: "Results out", Kind: board.Stat, Unit: board.PerSecond, Width: 3, Decimals: 1,
			Description: "Results a second that workers and dispatchers publish. In the long run as many as requests.",
			Queries:     one(results)},
		{Title: "Platform errors", Kind: board.Stat, Unit: board.Share, Width: 3, Decimals: 2, Alert: "ScriptfleetPlatformErrors",
			Limits:      []board.Limit{{At: 0.001, Color: board.Warn}, {At: 0.01, Color: board.Bad}},
			Description: "Share of results that are platform_error. The objective is one in a thousand at most. A script that fails by its author's fault counts as served.",
			Queries:     one(platformErrors + " / (" + results + " > 0)")},
		{Title: "Arrival to result, p95", Kind: board.Stat, Unit: board.Seconds, Width: 3, Decimals: 2,
			Description: "95 % of runs are answered within this time of the arrival of their request, execution included.",
			Queries:     one(`histogram_quantile(0.95, sum by (le) (rate(scriptfleet_worker_run_seconds_bucket{@}[@])))`)},
		{Title: "Backlog clears in", Kind: board.Stat, Unit: board.Seconds, Width: 3, Decimals: 1,
			Limits:      []board.Limit{{At: 60, Color: board.Warn}, {At: 600, Color: board.Bad}},
			Description: "Messages that wait on the requests queue and the partitions, divided by the rate at which runs are settled: the wait of the last of them if the rate stays.",
			Queries:     one(`sum(max by (queue) (scriptfleet_queue_depth{@,queue=~"requests|partition-[0-9]+|side",state="visible"})) / clamp_min(sum(rate(scriptfleet_worker_settled_total{@,verdict=~"answered|remove|bury"}[@])), 0.01)`)},
		{Title: "Dead letters", Kind: board.Stat, Unit: board.Count, Width: 3, Alert: "ScriptfleetDeadLetter",
			Limits:      []board.Limit{{At: 1, Color: board.Bad}},
			Description: "Requests and deliveries that no result answers. Each needs an operator: scriptfleet dlq lists them with their reasons.",
			Queries:     one(`sum(max by (queue) (scriptfleet_queue_depth{@,queue=~".+-dlq",state="visible"}))`)},
		{Title: "Not ready", Kind: board.Stat, Unit: board.Count, Width: 3, Alert: "ScriptfleetNotReady",
			Limits:      []board.Limit{{At: 1, Color: board.Bad}},
			Description: "Dispatchers and workers that are gone, or that take no work. /readyz of a process says why.",
			Queries:     one(`count(up{@}) - (count(scriptfleet_process_ready{@} == 1) or vector(0))`)},
		{Title: "Alerts that fire", Kind: board.Stat, Unit: board.Count, Width: 3,
			Limits:      []board.Limit{{At: 1, Color: board.Bad}},
			Description: "The runbook has a section for each alert.",
			Queries:     one(`count(ALERTS{alertname=~"Scriptfleet.*",alertstate="firing"}) or vector(0)`)},
	}}
}

func fleetObjectives() board.Row {
	return board.Row{Title: "Objectives: how fast are their budgets used?", Panels: []board.Panel{
		{Title: "Burn rate, 1 h", Kind: board.Lines, Unit: board.Count, Width: 8, Decimals: 1, Alert: "ScriptfleetQuietStart",
			Limits:      []board.Limit{{At: 6, Color: board.Warn}, {At: 14.4, Color: board.Bad}},
			Description: "How many times as fast as allowed each objective's budget is used. At 1 it lasts for its 30 days. README.md of the dashboards tells of the objectives.",
			Queries:     by("slo", `scriptfleet:slo:burn_rate1h`)},
		{Title: "Budget left", Kind: board.Lines, Unit: board.Share, Width: 8, Decimals: 1, Max: 1, Alert: "ScriptfleetDelivery",
			Description: "What is left of each objective's budget of 30 days. At 0 the objective is missed.",
			Queries:     by("slo", `clamp_min(scriptfleet:slo:budget_left, 0)`)},
		{Title: "Start delay of quiet tenants", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2, Alert: "ScriptfleetQuietStart",
			Limits:      []board.Limit{{At: 0.5, Color: board.Warn}},
			Description: "Time from the arrival of a request until its script began, without builds, for tenants that use no more than their share. The objective allows 0.5 s.",
			Queries: []board.Query{
				{Expr: `histogram_quantile(0.5, sum by (le) (rate(scriptfleet_worker_start_delay_seconds_bucket{@,load="quiet"}[@])))`, Legend: "p50"},
				{Expr: `histogram_quantile(0.95, sum by (le) (rate(scriptfleet_worker_start_delay_seconds_bucket{@,load="quiet"}[@])))`, Legend: "p95"},
				{Expr: `histogram_quantile(0.99, sum by (le) (rate(scriptfleet_worker_start_delay_seconds_bucket{@,load="quiet"}[@])))`, Legend: "p99"},
			}},
	}}
}

func fleetOutcomes() board.Row {
	return board.Row{Title: "Rate and errors: what comes in, and how it ends", Panels: []board.Panel{
		{Title: "Requests by outcome", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 1,
			Description: "What became of requests at the dispatchers. put_back: the next queue or the ledger could not be reached. buried: the request is on the dead-letter queue.",
			Queries:     by("outcome", `sum by (outcome) (rate(scriptfleet_dispatcher_handled_total{@}[@])) > 0`)},
		{Title: "Results by status", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 1,
			Description: "Results that the workers published. platform_error is the fleet's fault; failed, timed_out, out_of_memory and build_failed are mostly the authors'.",
			Queries:     by("status", `sum by (status) (rate(scriptfleet_worker_results_total{@}[@])) > 0`)},
		{Title: "Whose errors", Kind: board.Lines, Unit: board.Share, Width: 8, Decimals: 2, Alert: "ScriptfleetPlatformErrors",
			Description: "Share of results that end by a fault of scripts or their authors, and by a fault of the platform.",
			Queries: []board.Query{
				{Expr: `sum(rate(scriptfleet_worker_results_total{@,status=~"failed|timed_out|out_of_memory|build_failed"}[@])) / (` + results + ` > 0)`, Legend: "of scripts"},
				{Expr: platformErrors + " / (" + results + " > 0)", Legend: "platform_error"},
			}},
	}}
}

func fleetDurations() board.Row {
	return board.Row{Title: "Duration: where the time of a run goes", Panels: []board.Panel{
		{Title: "Arrival to result", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2, Exemplars: true,
			Description: "Percentiles of the time from the arrival of a request until its result is published. A point is a run whose trace is recorded: it leads to the trace.",
			Queries:     percentiles("scriptfleet_worker_run_seconds")},
		{Title: "Mean time by stage", Kind: board.Stacked, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "The stages add up to the mean time from arrival to result. execute is the script's own time.",
			Queries:     by("stage", `sum by (stage) (rate(scriptfleet_worker_stage_seconds_sum{@}[@])) / ignoring (stage) group_left () (sum(rate(scriptfleet_worker_run_seconds_count{@}[@])) > 0)`)},
		{Title: "Stages, p95", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "95th percentile of each stage by itself. They do not add up to that of the whole.",
			Queries:     by("stage", `histogram_quantile(0.95, sum by (le, stage) (rate(scriptfleet_worker_stage_seconds_bucket{@}[@])))`)},
	}}
}

func fleetSaturation() board.Row {
	return board.Row{Title: "Saturation: what waits, and for what", Panels: []board.Panel{
		{Title: "Waiting by kind of queue", Kind: board.Stacked, Unit: board.Count, Width: 8, Alert: "ScriptfleetIntakeStalled",
			Description: "Messages that can be received now. On results they wait for the stories, on all others for the fleet. side: runs of tenants over their backlog budget.",
			Queries: []board.Query{
				{Expr: `max(scriptfleet_queue_depth{@,queue="requests",state="visible"})`, Legend: "requests"},
				{Expr: `sum(max by (queue) (scriptfleet_queue_depth{@,queue=~"partition-[0-9]+",state="visible"}))`, Legend: "partitions"},
				{Expr: `max(scriptfleet_queue_depth{@,queue="side",state="visible"})`, Legend: "side"},
				{Expr: `max(scriptfleet_queue_depth{@,queue="results",state="visible"})`, Legend: "results"},
			}},
		{Title: "Turns of the workers", Kind: board.Lines, Unit: board.Count, Width: 8,
			Description: "Runs that may execute at a time, runs that do, and runs in hand that wait for a turn. What is allowed falls below the setting while Lambda throttles.",
			Queries: []board.Query{
				{Expr: `sum(scriptfleet_worker_turns{@})`, Legend: "allowed"},
				{Expr: `sum(scriptfleet_worker_turns_in_use{@})`, Legend: "running"},
				{Expr: `sum(scriptfleet_worker_turns_waiting{@})`, Legend: "waiting"},
			}},
		{Title: "In flight, of what SQS allows", Kind: board.Lines, Unit: board.Share, Width: 8, Decimals: 1, Max: 1, Alert: "ScriptfleetInFlightLimit",
			Limits:      []board.Limit{{At: 0.8, Color: board.Bad}},
			Description: "Messages received and not yet deleted, of the 120,000 at which SQS hands out nothing more from a queue, without an error: the fullest queue.",
			Queries:     []board.Query{{Expr: `max(scriptfleet_queue_depth{@,state="in_flight"}) / 120000`, Legend: "fullest queue"}}},
		{Title: "Parked for a build", Kind: board.Lines, Unit: board.Share, Width: 8, Decimals: 1, Max: 1, Alert: "ScriptfleetParkedNearBound",
			Limits:      []board.Limit{{At: 0.8, Color: board.Bad}},
			Description: "Deliveries that wait for a build without a turn, of as many as a worker may park. Above the bound they are put back.",
			Queries:     spread(`scriptfleet_worker_parked{@} / scriptfleet_worker_parked_limit{@}`)},
		{Title: "Received by worker", Kind: board.Lines, Unit: board.PerSecond, Width: 8, Decimals: 1,
			Description: "Deliveries that a worker receives: the highest, the mean and the lowest. A worker far below the others is slow or stuck.",
			Queries:     spread(`sum by (instance) (rate(scriptfleet_worker_received_total{@}[@]))`)},
		{Title: "Sent by partition", Kind: board.Lines, Unit: board.PerSecond, Width: 8, Decimals: 1,
			Description: "Runs that the dispatchers send to a partition: the highest, the mean and the lowest. At a low load only the first partitions are in use.",
			Queries:     spread(`sum by (partition) (rate(scriptfleet_dispatcher_sent_total{@}[@]))`)},
	}}
}

func fleetFaults() board.Row {
	return board.Row{Title: "Faults: what is tried again, refused or lost", Panels: []board.Panel{
		{Title: "Deliveries that were not answered", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 2, Alert: "ScriptfleetPutBackStorm",
			Description: "put_back: tried again after a delay. leave: another worker has the run. remove: its result was published before. bury: it is a dead letter.",
			Queries:     by("verdict", `sum by (verdict) (rate(scriptfleet_worker_settled_total{@,verdict!="answered"}[@]))`)},
		{Title: "Parts that are down", Kind: board.Lines, Unit: board.Count, Width: 8, Alert: "ScriptfleetNotReady",
			Description: "Processes for which a part that they stand on (Redis, SQS, Lambda, …) did not answer its last try, by part.",
			Queries:     by("part", `sum by (part) (1 - scriptfleet_component_up{@})`)},
		{Title: "Books, panics, evicted keys", Kind: board.Lines, Unit: board.Count, Width: 8, Alert: "ScriptfleetBooks",
			Description: "Each must stay at zero. missing: runs that are accepted, have no result and are on no queue. panics: faults of the fleet's own code, each of which has failed one run. evicted: keys that Redis has dropped before their time.",
			Queries: []board.Query{
				{Expr: `min(scriptfleet_books_runs{@,count="missing"})`, Legend: "missing runs"},
				{Expr: `sum(increase(scriptfleet_worker_panics_total{@}[@])) + sum(increase(scriptfleet_build_panics_total{@}[@])) + (sum(increase(scriptfleet_dispatcher_panics_total{@}[@])) or vector(0))`, Legend: "panics"},
				{Expr: `max(scriptfleet_redis_evicted_keys{@})`, Legend: "evicted keys"},
			}},
	}}
}

func fleetProcesses() board.Row {
	return board.Row{Title: "Processes: use of CPU and memory", Panels: []board.Panel{
		{Title: "CPU", Kind: board.Stacked, Unit: board.Cores, Width: 6, Decimals: 2,
			Description: "Cores in use by all processes of a job.",
			Queries:     by("job", `sum by (job) (rate(process_cpu_seconds_total{@}[@]))`)},
		{Title: "CPU of a process", Kind: board.Lines, Unit: board.Cores, Width: 6, Decimals: 2,
			Description: "Cores in use by one process: the highest, the mean and the lowest.",
			Queries:     spread(`rate(process_cpu_seconds_total{@}[@])`)},
		{Title: "Memory of a process", Kind: board.Lines, Unit: board.Bytes, Width: 6,
			Description: "Resident memory of one process: the highest, the mean and the lowest.",
			Queries:     spread(`process_resident_memory_bytes{@}`)},
		{Title: "Goroutines of a process", Kind: board.Lines, Unit: board.Count, Width: 6,
			Description: "One for each delivery in hand, plus a few dozen: the highest, the mean and the lowest.",
			Queries:     spread(`go_goroutines{@}`)},
	}}
}
