package dashboards

import (
	"github.com/scriptfleet/scriptfleet/dashboards/board"
)

// Boards are the dashboards, by the names of their files. The tests write the
// files (go test ./dashboards -update) and prove each query.
func Boards() map[string]board.Dashboard {
	return map[string]board.Dashboard{
		"fleet.json":   fleetBoard(),
		"tenants.json": tenantsBoard(),
		"builds.json":  buildsBoard(),
		"lambda.json":  lambdaBoard(),
	}
}

// percentiles are three queries for the percentiles of a histogram.
func percentiles(histogram string) []board.Query {
	return []board.Query{
		{Expr: "histogram_quantile(0.5, sum by (le) (rate(" + histogram + "_bucket{@}[@])))", Legend: "p50"},
		{Expr: "histogram_quantile(0.95, sum by (le) (rate(" + histogram + "_bucket{@}[@])))", Legend: "p95"},
		{Expr: "histogram_quantile(0.99, sum by (le) (rate(" + histogram + "_bucket{@}[@])))", Legend: "p99"},
	}
}

// spread are three queries for the highest, the mean and the lowest of many
// series, in place of a line for each.
func spread(series string) []board.Query {
	return []board.Query{
		{Expr: "max(" + series + ")", Legend: "highest"},
		{Expr: "avg(" + series + ")", Legend: "mean"},
		{Expr: "min(" + series + ")", Legend: "lowest"},
	}
}

func one(expr string) []board.Query { return []board.Query{{Expr: expr}} }

func by(label, expr string) []board.Query {
	return []board.Query{{Expr: expr, Legend: "{{" + label + "}}"}}
}

// results are all results a second: workers answer runs, and dispatchers answer
// those that they reject, or that met a panic.
const results = `(sum(rate(scriptfleet_worker_results_total{@}[@])) + (sum(rate(scriptfleet_dispatcher_handled_total{@,outcome=~"rejected|failed"}[@])) or vector(0)))`

// platformErrors are those of them that end as platform_error.
const platformErrors = `(sum(rate(scriptfleet_worker_results_total{@,status="platform_error"}[@])) + (sum(rate(scriptfleet_dispatcher_handled_total{@,outcome="failed"}[@])) or vector(0)))`
