// Package fairness measures what many tenants cost each other, and what each of
// them costs the fleet. All of it is tests:
//
//	make bench-fairness   what a tenant that floods does to twenty quiet ones
//	make bench-tenants    CPU a run and memory at 10, 1,000 and 100,000 tenants
//
// Both print a table each; neither fails for a figure, which says as much about
// the machine as about the fleet. A short form of each runs with the tests, so
// that they go on to make sense: it asserts that the quiet tenants are served
// and the flood gets on, never how fast.
//
// # The flood
//
// The parts are real: the embedded SQS over HTTP, a redis-server, a dispatcher,
// two workers of 16 slots with their builders, the fleet-wide limit of 15 calls
// a second on Lambda's control plane. Lambda itself is in memory: an invocation
// takes as long as its script says, a function 300 ms to create and 700 ms to
// become active. Every call of SQS takes 10 ms more than here, as it does on
// AWS, so that a wait is made of what it is made of there.
//
// Twenty quiet tenants send a run of 100 ms every 2 s each. One tenant sends
//
//	flood        1,000 times as many: 500 runs a second
//	slow         the same, of scripts 100 times slower: 10 s
//	new scripts  1,000 runs of as many new scripts within two seconds, while each
//	             quiet tenant has one new script too
//
// A wait is the time from when the run was to be sent, by the schedule, to the
// start of its script. It is taken where the script would start, so nothing that
// the fleet says of itself is believed. What has not begun when the time is up
// has waited until then, and is counted in the column "unbegun". Waits for a
// quiet tenant's own new script, whose build takes a second by itself, are in a
// table of their own.
//
// The settings are the same for all tenants, those of the fleet scaled to its 32
// slots: 16 runs at a time, 500 open ones before the side partition, a shard of
// 2 of the 8 partitions. One of the twenty has the very shard of the flood: that
// is one in 28, and a twentieth of the quiet runs.
//
// # With and without
//
// The machine that measures is busy, not least with the flood, so one baseline is
// not enough. "Before" is the same fleet before the flood. "Beside" is a second
// fleet with its own queues, dispatcher, workers and twenty quiet tenants, and no
// flood, in the same process during the same seconds: what the flood's CPU time
// does to everybody on this machine is in both, and what the flood does to its
// neighbours on the fleet is in one.
//
// # Each mechanism off
//
// All are switched off from outside, by settings and by what stands between the
// parts; none has a switch of its own:
//
//	shards         every tenant has all partitions
//	fair delivery  messages carry no group
//	share in hand  each delivery says that it is of another tenant
//	shares         weights so large that no use is ever felt
//	reserve        no slots beyond the concurrency
//	caps           none
//	side partition there is none
//	build places   as many as there are builds
//
// # The tenants
//
// The same number of runs is spread over 10, 1,000 and 100,000 tenants, through
// a dispatcher and a worker with everything else in memory. CPU is that of the
// process (getrusage) without what the parts in memory take to start; memory is the heap after a
// collection, the in-memory parts not counted: see tenants_test.go.
package fairness
