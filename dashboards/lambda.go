package dashboards

import (
	"github.com/scriptfleet/scriptfleet/dashboards/board"
	"github.com/scriptfleet/scriptfleet/dashboards/prices"
)

// priceVariables are list prices as values that can be edited.
func priceVariables(p prices.Prices) []board.Variable {
	at := " List price of " + p.Region + ", " + p.Date + "."
	price := func(name, label, description string, value float64) board.Variable {
		return board.Variable{Name: name, Label: label, Description: description + at, Value: board.Number(value)}
	}
	return []board.Variable{
		price("usd_sqs", "SQS, $ a million", "A million requests to SQS, with fair queues.", p.SQSMillion+p.SQSFairMillion),
		price("usd_invocations", "Lambda, $ a million", "A million invocations.", p.LambdaMillion),
		price("usd_gb_second", "GB-second, $", "A GB-second on x86_64.", p.LambdaGBSecond),
		price("usd_gb_second_arm", "GB-second on arm64, $", "A GB-second on arm64.", p.LambdaGBSecondArm),
		price("usd_vcpu_hour", "vCPU-hour, $", "An hour of a vCPU of Fargate.", p.FargateVCPUHour),
		price("usd_gb_hour", "GB-hour, $", "An hour of a GB of memory of Fargate.", p.FargateGBHour),
		price("usd_redis_hour", "Redis, $ an hour", "An hour of Redis: a primary and a replica of "+p.RedisNodes[0].Type+". Enter that of yours.", 2*p.RedisNodes[0].Hour),
	}
}

// What each part of the fleet costs a second, in dollars, with the prices of the
// dashboard.
const (
	costSQS         = `sum(rate(scriptfleet_sqs_billed_requests_total{@}[@])) * $usd_sqs / 1e6`
	costInvocations = `(sum(rate(scriptfleet_worker_invocations_started_total{@}[@])) - sum(rate(scriptfleet_worker_invocations_refused_total{@,class!="ambiguous"}[@]))) * $usd_invocations / 1e6`
	costExecution   = `(sum(rate(scriptfleet_worker_billed_gb_seconds_total{@,architecture="x86_64"}[@])) * $usd_gb_second + sum(rate(scriptfleet_worker_billed_gb_seconds_total{@,architecture="arm64"}[@])) * $usd_gb_second_arm)`
	// Fargate bills a vCPU and its memory whether they are used or not. The fleet
	// may use half of its CPU, so what it uses is counted twice.
	costProcesses = `(2 * sum(rate(process_cpu_seconds_total{@}[@])) * $usd_vcpu_hour / 3600 + sum(process_resident_memory_bytes{@}) / 1073741824 * $usd_gb_hour / 3600)`
	costRedis     = `(sum(up{@}) > bool 0) * $usd_redis_hour / 3600`
	costAll       = `(` + costSQS + ` + ` + costInvocations + ` + ` + costExecution + ` + ` + costProcesses + ` + ` + costRedis + `)`

	runs = `(sum(rate(scriptfleet_worker_results_total{@}[@])) > 0)`
)

// lambdaBoard answers how Lambda serves the fleet, and what a run costs.
func lambdaBoard() board.Dashboard {
	return board.Dashboard{
		UID: "scriptfleet-lambda", Title: "scriptfleet: Lambda and cost",
		Description: "Does Lambda keep up, and what does a run cost? The prices above are list prices: enter your own.",
		Variables:   priceVariables(prices.List()),
		Rows:        []board.Row{lambdaGlance(), lambdaInvocations(), lambdaDurations(), lambdaCalls(), lambdaDollars()},
	}
}

func lambdaGlance() board.Row {
	return board.Row{Title: "Does Lambda keep up, and what does a run cost?", Panels: []board.Panel{
		{Title: "Invocations", Kind: board.Stat, Unit: board.PerSecond, Width: 4, Decimals: 1,
			Description: "Invocations a second that workers begin.",
			Queries:     one(`sum(rate(scriptfleet_worker_invocations_started_total{@}[@]))`)},
		{Title: "Throttled", Kind: board.Stat, Unit: board.Share, Width: 4, Decimals: 1, Alert: "ScriptfleetThrottled",
			Limits:      []board.Limit{{At: 0.01, Color: board.Warn}, {At: 0.05, Color: board.Bad}},
			Description: "Share of invocations that Lambda answered with 429. The workers lower their concurrency, and the runs are tried again.",
			Queries:     one(`sum(rate(scriptfleet_worker_throttles_total{@}[@])) / (sum(rate(scriptfleet_worker_invocations_started_total{@}[@])) > 0)`)},
		{Title: "Cold starts", Kind: board.Stat, Unit: board.Share, Width: 4, Decimals: 1,
			Description: "Share of results whose run met a cold start.",
			Queries:     one(`sum(rate(scriptfleet_worker_cold_starts_total{@}[@])) / ` + runs)},
		{Title: "SQS requests a run", Kind: board.Stat, Unit: board.Count, Width: 4, Decimals: 2,
			Limits:      []board.Limit{{At: 6, Color: board.Warn}},
			Description: "Requests as they are billed, of all processes, idle polls included. One run alone takes six; batches share them.",
			Queries:     one(`sum(rate(scriptfleet_sqs_billed_requests_total{@}[@])) / ` + runs)},
		{Title: "Redis round trips a run", Kind: board.Stat, Unit: board.Count, Width: 4, Decimals: 2,
			Limits:      []board.Limit{{At: 6, Color: board.Warn}},
			Description: "Round trips of all processes. One run alone takes four; batches share them.",
			Queries:     one(`sum(rate(scriptfleet_redis_round_trips_total{@}[@])) / ` + runs)},
		{Title: "A million runs", Kind: board.Stat, Unit: board.Dollars, Width: 4, Decimals: 2,
			Description: "Cost of a million runs at the present rate. While few runs come, most of it is what stands there anyway.",
			Queries:     one(million(costAll))},
	}}
}

func lambdaInvocations() board.Row {
	return board.Row{Title: "Rate and errors: invocations", Panels: []board.Panel{
		{Title: "Invocations and cold starts", Kind: board.Lines, Unit: board.PerSecond, Width: 8, Decimals: 1,
			Description: "Invocations that were begun, and runs that met a cold start.",
			Queries: []board.Query{
				{Expr: `sum(rate(scriptfleet_worker_invocations_started_total{@}[@]))`, Legend: "invocations"},
				{Expr: `sum(rate(scriptfleet_worker_cold_starts_total{@}[@]))`, Legend: "cold starts"},
			}},
		{Title: "Throttles by reason", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 2, Alert: "ScriptfleetThrottled",
			Description: "Lambda's reason for a 429. ConcurrentInvocationLimitExceeded: the account's concurrency is used up. A reason with Reserved is one function's own limit.",
			Queries:     by("reason", `sum by (reason) (rate(scriptfleet_worker_throttles_total{@}[@]))`)},
		{Title: "Invocations refused by class", Kind: board.Stacked, Unit: board.PerSecond, Width: 8, Decimals: 2,
			Description: "Invocations that reached no function. ambiguous: no answer came, so the script may have run. unsent: Lambda is out of reach. denied: the fleet's permissions.",
			Queries:     by("class", `sum by (class) (rate(scriptfleet_worker_invocations_refused_total{@}[@]))`)},
	}}
}

func lambdaDurations() board.Row {
	return board.Row{Title: "Duration and use: what scripts do", Panels: []board.Panel{
		{Title: "Execution", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Time that scripts executed.",
			Queries:     percentilesOfStage("execute")},
		{Title: "Cold starts", Kind: board.Lines, Unit: board.Seconds, Width: 8, Decimals: 2,
			Description: "Mean time of a cold start: a new environment imports the script.",
			Queries:     []board.Query{{Expr: `sum(rate(scriptfleet_worker_stage_seconds_sum{@,stage="init"}[@])) / (sum(rate(scriptfleet_worker_cold_starts_total{@}[@])) > 0)`, Legend: "init"}}},
		{Title: "Turns", Kind: board.Lines, Unit: board.Count, Width: 8,
			Description: "Runs that the workers allow at a time, and runs that execute. Workers allow fewer while Lambda throttles, and more again with each success.",
			Queries: []board.Query{
				{Expr: `sum(scriptfleet_worker_turns{@})`, Legend: "allowed"},
				{Expr: `sum(scriptfleet_worker_turns_in_use{@})`, Legend: "running"},
			}},
	}}
}

func lambdaCalls() board.Row {
	return board.Row{Title: "Calls: what a run takes", Panels: []board.Panel{
		{Title: "SQS requests a run by operation", Kind: board.Stacked, Unit: board.Count, Width: 8, Decimals: 2,
			Description: "Requests of all processes by operation, divided by results. Idle polls and reads of the queues' depths count too.",
			Queries:     by("operation", `sum by (operation) (rate(scriptfleet_sqs_requests_total{@}[@])) / ignoring (operation) group_left () `+runs+` > 0`)},
		{Title: "Redis round trips a run", Kind: board.Lines, Unit: board.Count, Width: 8, Decimals: 2,
			Description: "Round trips of all processes of a job, divided by results.",
			Queries:     by("job", `sum by (job) (rate(scriptfleet_redis_round_trips_total{@}[@])) / ignoring (job) group_left () `+runs)},
		{Title: "Roles and extensions", Kind: board.Lines, Unit: board.Ops, Width: 8, Decimals: 2, Alert: "ScriptfleetRolesFail",
			Description: "Calls to STS for tenants' roles and sessions, by outcome, without those from memory, and deliveries of long runs whose visibility was extended.",
			Queries: []board.Query{
				{Expr: `sum by (outcome) (rate(scriptfleet_credential_assumes_total{@}[@]))`, Legend: "roles {{outcome}}"},
				{Expr: `sum(rate(scriptfleet_worker_extended_total{@}[@]))`, Legend: "extended"},
			}},
	}}
}

func lambdaDollars() board.Row {
	return board.Row{Title: "Dollars, by the prices above", Panels: []board.Panel{
		{Title: "A million runs, by what they pay for", Kind: board.Stacked, Unit: board.Dollars, Width: 12, Decimals: 2,
			Description: "Cost a second of each part, divided by results a second. Processes: the CPU that they use, twice, and their memory. Redis: what was entered above.",
			Queries: []board.Query{
				{Expr: million(costSQS), Legend: "SQS"},
				{Expr: million(costInvocations), Legend: "Lambda, invocations"},
				{Expr: million(costExecution), Legend: "Lambda, execution"},
				{Expr: million(costProcesses), Legend: "dispatchers, workers"},
				{Expr: million(costRedis), Legend: "Redis"},
			}},
		{Title: "A month at this rate", Kind: board.Lines, Unit: board.Dollars, Width: 6, Decimals: 0,
			Description: "What the fleet costs in 30 days if it stays as it is now.",
			Queries:     []board.Query{{Expr: costAll + ` * 86400 * 30`, Legend: "30 days"}}},
		{Title: "GB-seconds", Kind: board.Lines, Unit: board.Ops, Width: 6, Decimals: 2,
			Description: "What Lambda bills for executions each second, by architecture.",
			Queries:     by("architecture", `sum by (architecture) (rate(scriptfleet_worker_billed_gb_seconds_total{@}[@]))`)},
	}}
}

// million is what a part costs in a million runs.
func million(cost string) string { return `1e6 * ` + cost + ` / ` + runs }

// percentilesOfStage are those of one stage of runs.
func percentilesOfStage(stage string) []board.Query {
	of := func(q, legend string) board.Query {
		return board.Query{Expr: `histogram_quantile(` + q + `, sum by (le) (rate(scriptfleet_worker_stage_seconds_bucket{@,stage="` + stage + `"}[@])))`, Legend: legend}
	}
	return []board.Query{of("0.5", "p50"), of("0.95", "p95"), of("0.99", "p99")}
}
