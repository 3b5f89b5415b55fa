package main

// goal is a line of the table: a figure, and what it should be. The figure's
// value is in its unit.
type goal struct {
	figure string
	what   string
	unit   string
	format string // of the value; %.2f if empty

	most, least float64 // 0: none
	before      float64 // as it was on the morning of 2026-11-29; 0: not measured
}

// goals are all lines, in the order of the table.
var goals = []goal{
	{figure: "sqs.200", what: "SQS requests a run, both hops, at 200/s", most: 2.5, before: 5.8},
	{figure: "sqs.2000", what: "SQS requests a run, at 2,000/s", most: 0.65},
	{figure: "sqs.burst", what: "SQS requests a run, in a burst", most: 0.65, before: 3.1},
	{figure: "redis.200", what: "Redis round trips a run, at 200/s", most: 1.5, before: 6.7},
	{figure: "redis.burst", what: "Redis round trips a run, in a burst", most: 0.3, before: 3.5},
	{figure: "redis.commands.burst", what: "Redis commands a run, inside Lua too", format: "%.1f", most: 10, before: 33},
	{figure: "bounces.burst", what: "deliveries a run above the first, in a burst", format: "%.3f", most: 0.01, before: 0.96},
	{figure: "calls.new", what: "calls of Lambda's control plane: script in a new env", format: "%.0f", most: 2},
	{figure: "calls.known", what: "the same: new script in a known env", format: "%.0f", most: 1},
	{figure: "calls.warm", what: "the same: nine warm runs", format: "%.0f", most: 0.001},
	{figure: "burst.stub", what: "burst of 3,000, stub function", unit: "runs/s", format: "%.0f", least: 5000},
	{figure: "burst.python", what: "burst of 3,000, real Python", unit: "runs/s", format: "%.0f", least: 2000, before: 370},
	{figure: "cpu.fleet", what: "CPU a run: dispatcher and worker", unit: "ms", most: 0.25, before: 1.8},
	{figure: "cpu.all", what: "CPU a run: with the embedded stack and the functions", unit: "ms", most: 0.6, before: 4.6},
	{figure: "delay.p50", what: "added delay at 20/s, p50", unit: "ms", format: "%.1f", most: 3, before: 7.9},
	{figure: "delay.p99", what: "added delay at 20/s, p99", unit: "ms", format: "%.1f", most: 10, before: 15.7},
	{figure: "delay.p50.celery", what: "the p50 over Celery's, in the same run", unit: "×", most: 1, before: 3.2},
	{figure: "delay.p99.celery", what: "the p99 over Celery's, in the same run", unit: "×", most: 1, before: 3.6},
	{figure: "calls.bridged", what: "the same: nine first runs of new scripts in env runners", format: "%.0f", most: 0.001},
	{figure: "bridged.first", what: "first run of a new script in its env runner, over a warm run", unit: "ms", format: "%.1f", most: 5},
	{figure: "new.100", what: "100 new scripts a second, 15 calls of the control plane: added delay, p99", unit: "ms", format: "%.0f", most: 50},
	{figure: "new.100.off", what: "the same without env runners", unit: "ms", format: "%.0f"},
	{figure: "first.known", what: "first run of a script in a known env, over a warm run, without an env runner", unit: "ms", format: "%.0f", most: 25, before: 120},
	{figure: "first.new", what: "first run in a new env, over uv alone with a warm cache", unit: "×", most: 1.15, before: 3.5},
	{figure: "cold.apart", what: "embedded cold start, bare Python, over python3 -c pass: starts that come apart", unit: "ms", format: "%.0f", most: 15, before: 82},
	{figure: "cold.in-a-row", what: "the same: one after the other", unit: "ms", format: "%.0f", most: 15, before: 82},
	{figure: "runner.fork", what: "env runner: fork and clean-up", unit: "ms", format: "%.1f", most: 2},
	{figure: "tenants.cpu", what: "CPU a run at 100,000 tenants, over 10", unit: "×", most: 1.1, before: 1.22},
	{figure: "memory.parked", what: "worker with 1,000 parked runs of 10 KB", unit: "MB", format: "%.0f", most: 60},
	{figure: "memory.backlog", what: "dispatcher's greatest heap in the second half of a backlog of 1,000,000, over the first half", unit: "×", most: 1.1},
	{figure: "growth.20000", what: "CPU a run after 20,000 runs, over after 1,000", unit: "×", most: 1.1},
	{figure: "growth.1000000", what: "CPU a run after 1,000,000 runs, over after 20,000", unit: "×", most: 1.1},
	{figure: "growth.script", what: "heap a known script, from 10 to 10,000 scripts", unit: "bytes", format: "%.0f", most: 300},
	{figure: "quiet.flood", what: "a quiet tenant's p99 beside one flood, over without", unit: "×", most: 1.5, before: 2.4},
	{figure: "quiet.10-equals", what: "a quiet tenant's p99 beside ten equal floods, over without", unit: "×", most: 2, before: 65},
	{figure: "builds.trace", what: "builds over builds needed on an eight-hour trace, 8 workers, expiry after 10 idle minutes", format: "%.3f", most: 1.0005},
	{figure: "builds.naive", what: "the same of the naive control, one build a miss", format: "%.3f"},
}

// met tells whether the value reaches the goal.
func (g goal) met(value float64) bool {
	return (g.most == 0 || value <= g.most) && (g.least == 0 || value >= g.least)
}
