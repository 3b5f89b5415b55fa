// Package fleettest contains the tests of the whole fleet, and shared code of
// tests.
//
// # The tests
//
// They run the shipped binaries as processes, and use queues and command lines as
// stories and operators do. They show that
//
//   - every fault of a request or a script ends in one result that names who has
//     to mend it, or on the dead-letter queue with the reason, and the fleet goes
//     on (requests_test.go, scripts_test.go, requirements_test.go);
//   - correct data is unchanged: inputs, outputs byte for byte, logs, and outputs
//     that are too large for a queue (outputs_test.go);
//   - scriptfleet run prints the output of main and nothing else, and has each of
//     its exit codes (command_test.go);
//   - separate processes share the work, build each script once, and leave nothing
//     when they stop (processes_test.go);
//   - independent clients and servers work with ours: the AWS CLI, boto3 and the
//     official extended client with the embedded stack, and moto's SQS and all of
//     ministack's AWS with dispatcher and worker (clients_test.go, moto_test.go,
//     ministack_test.go);
//   - a worker that is killed during a run or a build loses no result, and causes
//     no second one (crash_test.go).
//
// Packages below have the other tests: chaos (faults), simulation (fleets in
// memory, by seeds), fairness (measurements), refusals (every error of Lambda
// for an invocation), walls (attacks of tenants), architecture (imports, and
// other rules for the sources).
//
// # What tests share
//
// This package has clients for a fleet: [Mailbox] sends requests and receives
// results, [StartLocal] starts an embedded stack. The rest is in packages below
// that import as little of the project as possible, so that tests of every
// package can use them:
//
//	wait       waits for a condition
//	files      files of a test
//	process    processes of a test, and their end
//	program    the project's binaries, the tools of make setup, environments
//	redistest  a redis-server
//	mototest   an independent implementation of AWS
//	stack      an embedded stack within the test's process
//	sqstest    the contract of queues for an SQS
//	inmemory   queues and a ledger that fail when a test wants it
//
// No six lines of code may appear in two test packages: architecture tests
// that.
//
// The tests need the tools of `make setup`. They never wait for a fixed time:
// they poll for a condition, as long as a loaded machine may take.
package fleettest
