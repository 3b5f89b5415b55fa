// Package simulation runs a whole fleet in memory: several dispatchers, and
// several workers with their builders. A seed chooses faults, and the tests
// check the promises of SPEC.md. It contains only tests.
//
//	go test ./pkg/fleettest/simulation -run TestSimulation -seeds 10000
//	go test ./pkg/fleettest/simulation -run TestSimulation -seed 4711
//
// A seed decides the requests, the faults and their times, and the duration of
// every call. The fleet runs in a bubble of testing/synctest, so minutes of its
// time take milliseconds. A seed does not decide the order of events at the
// same instant, nor the jitter that the parts draw from math/rand/v2; therefore
// -seed tries its seed up to 200 times.
//
// # What is real
//
// dispatcher.Dispatcher, worker.Worker and builds.Builder are real. Queues,
// ledger, leases, records, slots, token bucket and function service are the
// in-memory implementations, which the contract suites compare with SQS, Redis
// and Lambda. Each process (a site) calls them through a gate of its own. The
// gate delays calls, lets them fail, loses their answers, holds them while the
// process is stopped, and drops them once it is killed. A call that was held
// takes effect when the process continues, however late: that is the case for
// which fences exist.
//
// # What is checked
//
// At every step: a function has its own script's code and layers, and only its
// tenant invokes it; an env runner, which is another function, executes the
// script of the run that invokes it, and takes no other; an at-most-once run
// executes at most once; a run executes again, or a layer or a function is built
// again or by two at a time, only if the process before was disturbed; a script's
// function is built only where a run waits for it, or an env runner was named for
// enough of its runs; a repeated result is equal byte for byte; no record is
// replaced by one with an older fence. In a calm seed (no process dies, stalls or
// is cut off) a delivery that one worker holds is not delivered to another, and a
// warm run is served while a crowd waits for a build. At the end: each request
// has one result or is a dead letter; attempts count every execution; the books
// balance; and no message, lease, claim, slot or execution is left.
//
// # Exceptions
//
// Redis may lose its data at any time. After that, a run whose delivery comes
// again may execute again. Its result shows that, and may differ from one
// published before. Built functions are found by their names, and a second
// build may run beside one in progress. If the request comes again too, a
// dispatcher accepts the forgotten run as a new one, and its result does not
// show that it may have executed.
//
// A ledger call that was held while its process was stopped may arrive after
// Redis has lost its data. It then restores a claim that may have been lost
// before: see package ledger. The books may then count a finished run as open.
package simulation
