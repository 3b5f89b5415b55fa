// Package fleettest tests the whole fleet, and holds what tests of it share.
//
// # The tests
//
// They run the binaries as they are shipped, each a process of its own, spoken to
// over queues and command lines as stories and operators do. They show that
//
//   - whatever a request or a script does wrong ends in one result that says
//     whose it is to mend, or on the dead-letter queue with the reason, and the
//     fleet goes on (requests_test.go, scripts_test.go, requirements_test.go);
//   - what is right comes through untouched: inputs, outputs byte for byte, what
//     was printed, outputs that are too large for a queue (outputs_test.go);
//   - scriptfleet run prints the output of main and nothing else, and reaches
//     each of its exit codes (command_test.go);
//   - separate processes share the work, build each script once, and stop
//     without a trace (processes_test.go);
//   - clients and servers that others wrote get along with ours: the AWS CLI,
//     boto3 and the official extended client with the embedded stack, moto's SQS,
//     and ministack's AWS as a whole, with dispatcher and worker (clients_test.go,
//     moto_test.go, ministack_test.go);
//   - a worker that is killed in the middle of a run or a build costs neither the
//     result nor a second one (crash_test.go).
//
// Below lie the tests that need a place of their own: chaos (faults), simulation
// (fleets in memory, by seeds), fairness (measurements), refusals (every error that
// Lambda answers an invocation with), walls (tenants that attack), architecture
// (imports, and what else the sources must keep).
//
// # What tests share
//
// This package has what speaks to a fleet from outside: [Mailbox] sends requests
// and takes results, [StartLocal] starts an embedded stack. The rest lies below,
// in packages that import as little of the project as they can, so that the tests
// of every package can use them:
//
//	wait       until a condition holds
//	files      files of a test
//	process    programs beside a test, and how they end
//	program    the project's binaries, the tools of make setup, environments
//	redistest  a redis-server
//	mototest   an AWS that others wrote
//	stack      an embedded stack within the test's process
//	sqstest    the contract of queues for an SQS
//	inmemory   queues and a ledger that fail when a test says so
//
// No six lines stand in two test packages: architecture tests that.
//
// The tests need what `make setup` brings. Nothing waits for a fixed time: they
// poll for what should become true, for as long as a busy machine may take.
package fleettest
