// Package fairness measures how tenants affect each other, and what each tenant
// costs the fleet. It contains only tests:
//
//	make bench-fairness   what a tenant that floods does to twenty quiet ones
//	make bench-tenants    CPU a run and memory at 10, 1,000 and 100,000 tenants
//	make bench-costs      requests to SQS and round trips to Redis for each run
//	make bench BENCH=growth   the same after a million runs, and over a backlog
//	make bench BENCH=trace    builds of an eight-hour trace
//
// Each prints a table. None fails because of a figure, which depends on the
// machine as much as on the fleet. A short form of each runs with the other
// tests, so that it keeps working: it asserts that the quiet tenants are served
// and the flood progresses; how fast, only in virtual time, beside ten equal
// floods.
//
// # The flood
//
// A dispatcher and two workers of 32 turns with their builders are real, and so
// are the embedded SQS and the fleet-wide limit of 15 calls per second on
// Lambda's control plane. Lambda is in memory: an invocation takes as long as
// its script states, and a function takes 300 ms to create and 700 ms to become
// active. Every call of SQS takes 10 ms longer than on this machine, as it does
// on AWS, so that waits have the same parts as there.
//
// The table is made twice. In virtual time, in a bubble of testing/synctest,
// SQS is called without a network, and the state of Redis is in memory, 1 ms
// away: the figures are those of the mechanisms alone, the same on any machine
// and under any load. In real time SQS is behind HTTP and Redis is a
// redis-server: the figures are those of this machine, with its other load.
//
// Twenty quiet tenants send a run of 100 ms every 2 s each. One tenant sends
//
//	flood        1,000 times as many: 500 runs a second
//	slow         the same, of scripts 100 times slower: 10 s
//	2, 10, 50 equals  not one tenant but so many, that send 3,000 runs of 100 ms
//	             at once together: none of them is the one that floods
//	new scripts  1,000 runs of as many new scripts within two seconds, while each
//	             quiet tenant has one new script too
//
// A wait is the time from a run's scheduled sending to the start of its script.
// It is measured where the script would start, not taken from the fleet's
// results. A run that has not begun at the end has waited until then, and is
// counted in the column "unbegun". Waits for a quiet tenant's own new script,
// whose build alone takes a second, are in a table of their own.
//
// The settings are the same for all tenants, scaled to a fleet of 64 turns: 16
// concurrent runs, 500 open runs before the side partition, a shard of 2 of the
// 8 partitions. One of the twenty quiet tenants has exactly the flood's shard:
// the probability of that is 1/28, and its runs are 1/20 of the quiet runs.
//
// # With and without
//
// "Before" is the same fleet in the four seconds before the flood. In real time
// this baseline is not enough, because a loaded machine makes all tenants wait,
// and the flood itself loads it. "Beside" is therefore a second fleet in the
// same process and during the same seconds, with its own queues, dispatcher,
// workers and twenty quiet tenants, but no flood. The effect of the flood's CPU
// time is in both figures; its effect on other tenants of the fleet is in the
// first only.
//
// # Each mechanism off
//
// All are switched off from outside, by settings and by wrappers between the
// parts; no mechanism has a switch for tests:
//
//	shards         every tenant has all partitions
//	fair delivery  messages carry no group
//	share in hand  each delivery says that it is of another tenant
//	shares         weights so large that no use is ever felt
//	reserve        no slots beyond the concurrency
//	caps           none
//	side partition there is none
//	build places   100 in each worker, not 4
//
// # The tenants
//
// The same number of runs is spread over 10, 1,000 and 100,000 tenants, through
// a dispatcher and a worker with everything else in memory. Each population has
// a process of its own, and they serve slices of runs in turn, so that other
// load of the machine affects all of them. CPU is that of the whole process
// (getrusage) during the runs, so it includes the in-memory parts and the
// stories, equally in all three; each script is built before. Memory is the
// heap that a collection frees after dispatcher, worker and builder are
// released, so it does not include the in-memory parts.
//
// # Growth
//
// A process that has served a million runs serves slices in turn with one that
// has served 20,000, and one of 20,000 with new ones. The ledger forgets before
// each slice, since it would grow by itself. A backlog of a million requests is
// made as it is received, and partitions drop what they are sent: only the
// dispatcher's own heap is left.
//
// # The trace
//
// 500 functions run for 480 minutes with the skew of a public cloud's day, and
// all runs of a minute come in its first second. A function is removed once it
// has been idle for ten minutes. Eight builders share leases, records and the
// limit of the control plane. The naive control builds at every miss. The flag
// -invocations reads a recorded trace in place of the generated one.
//
// # The costs
//
// A dispatcher and one worker with the default settings serve equal tenants
// without caps, all runs at once or at a rate. Requests to SQS are counted
// where they leave the SDK, and deliveries where the worker receives them.
// Round trips are counted at the ledger in virtual time, and in the client of
// Redis in real time; there Redis counts the commands that it executed, those
// inside scripts included. The stories' own calls of the queues are not
// counted. Counting ends one second after the last result, so that later calls,
// such as deletes, are included.
package fairness
