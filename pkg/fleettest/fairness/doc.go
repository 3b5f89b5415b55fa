// Package fairness measures what many tenants cost each other, and what each of
// them costs the fleet. All of it is tests:
//
//	make bench-fairness   what a tenant that floods does to twenty quiet ones
//	make bench-tenants    CPU a run and memory at 10, 1,000 and 100,000 tenants
//	make bench-costs      requests to SQS and round trips to Redis for each run
//
// All print a table; none fails for a figure, which says as much about
// the machine as about the fleet. A short form of each runs with the tests, so
// that they go on to make sense: it asserts that the quiet tenants are served
// and the flood gets on, never how fast.
//
// # The flood
//
// A dispatcher and two workers of 32 slots with their builders are real, and so
// are the embedded SQS and the fleet-wide limit of 15 calls a second on Lambda's
// control plane. Lambda itself is in memory: an invocation takes as long as its
// script says, a function 300 ms to create and 700 ms to become active. Every
// call of SQS takes 10 ms more than here, as it does on AWS, so that a wait is
// made of what it is made of there.
//
// The table is made twice. In virtual time, in a bubble of testing/synctest, SQS
// is called without a network, and what Redis keeps is in memory, a millisecond
// away: the figures are those of the mechanisms alone, the same on any machine
// and under any load. By the wall's clock SQS is behind HTTP and Redis is a
// redis-server: the figures are those of this machine, with all that it does.
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
// The settings are the same for all tenants, scaled to a fleet of 64 slots: 16
// runs at a time, 500 open ones before the side partition, a shard of
// 2 of the 8 partitions. One of the twenty has the very shard of the flood: that
// is one in 28, and a twentieth of the quiet runs.
//
// # With and without
//
// "Before" is the same fleet in the four seconds before the flood. By the wall's
// clock one baseline is not enough, since a machine that is busy, not least with
// the flood, makes everybody wait. "Beside" is therefore a second fleet with its
// own queues, dispatcher, workers and twenty quiet tenants, and no flood, in the
// same process during the same seconds: what the flood's CPU time does on this
// machine is in both, and what the flood does to its neighbours on the fleet is
// in one.
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
//	build places   100 in each worker, not 4
//
// # The tenants
//
// The same number of runs is spread over 10, 1,000 and 100,000 tenants, through
// a dispatcher and a worker with everything else in memory. CPU is that of the
// whole process (getrusage) while the runs pass through, so the parts in memory
// and the stories are in it, alike in all three; each script is built before.
// Memory is the heap that is free again, after a collection, once dispatcher,
// worker and builder are let go of: the parts in memory are not in it.
//
// # The costs
//
// A dispatcher and one worker with the default settings serve equal tenants that
// are not capped, all runs at once or at a rate. Requests to SQS are counted where
// they leave the SDK, deliveries where the worker takes them, round trips at the
// ledger in virtual time and in the client of Redis on this machine; there Redis
// tells how many commands it executed, those inside its scripts included. What
// stories ask of the queues is not counted. The counts run until a second after
// the last result, so that what is sent later, such as deletes, is in them.
package fairness
