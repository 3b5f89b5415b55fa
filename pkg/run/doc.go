// Package run holds the words of scriptfleet as types: a request as it stands
// on the requests queue, the run that it becomes once admitted, and the result
// event that ends it. It decodes and validates what tenants send, and computes
// the identities that everything else relies on:
//
//   - [Key], the identity of a run: (tenant, source, id). The same one twice is
//     one run.
//   - [EnvHash], the identity of a layer: runtime, architecture, normalised
//     requirements, index and recipe version.
//   - [ScriptHash], the identity of a function: tenant, env, script bytes,
//     timeout, memory, architecture and handler version.
//
// The package is pure: it knows no clock, no network and no file.
//
// # Words
//
// One for each thing, in code, comments, metrics and messages.
//
// The way of a run:
//
//	request      an event on the requests queue: run, cancel, or build ahead
//	run          a request that was admitted, with an identity
//	delivery     one receipt of a run from a queue
//	attempt      one invocation of a run's script, counted before it is sent
//	verdict      what is done with a delivery: finish, put back, bury, leave …
//	result       the event that ends a run, on the results queue
//	summary      what is kept of a run that has ended, without input and output
//	dead letter  what no result can answer, on a queue of its own, with the reason
//
// What belongs to whom:
//
//	tenant     a customer of the platform; never user or customer
//	story      what sends requests and receives their results
//	owner      of an error: who has to mend it (author, operator, platform)
//
// A script of the registry:
//
//	reference  id, id@version or id@label, in place of a script
//	version    what was pushed, named by its digest
//	label      a name for a version, which can be promoted to another
//	caller     the team of the tenant that runs it, as the platform has authenticated it
//	sealed     its callers may run it and not read it
//
// What is built:
//
//	script     source, requirements, runtime, timeout and memory of one tenant
//	env        a runtime and its requirements
//	layer      an env, built
//	function   a script, built; made once and never updated
//	runner     (env runner) a function that takes any script of a tenant and env in its payload
//	handler    our Python files in each function, which call the script
//	build      the making of a layer and a function; one for each script
//
// Where runs are:
//
//	partition       a queue between dispatchers and workers
//	shard           the partitions of one tenant
//	side partition  a partition for runs of tenants that are over their backlog budget
//	in hand         a delivery between its receipt and its settlement
//	parked          in hand, waiting for a build, without a turn
//
// Who may go on:
//
//	lease      the right to build, until it runs out; never lock
//	owner      of a lease or a claim: the worker that holds it
//	fence      a number of each grant, greater than that of every grant before
//	claim      the right to invoke a run, in the ledger
//	slot       one of a tenant's runs at work in the whole fleet, capped
//	turn       one of the runs that may execute in one worker at a time
//	load       quiet or busy: whether a tenant was within its share when a run was sent
//	breaker    pauses the intake while something is away
//	shape      the settings of a process that must agree over the fleet
//
// Not used: task, job, item, message (outside of pkg/queue), manager, helper,
// util, common.
package run
