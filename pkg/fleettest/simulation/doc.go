// Package simulation runs the whole fleet in memory, several dispatchers and
// several workers with their builders, under faults that a seed chooses, and
// holds it to what SPEC.md promises. All of it is tests.
//
//	go test ./pkg/fleettest/simulation -run TestSimulation -seeds 10000
//	go test ./pkg/fleettest/simulation -run TestSimulation -seed 4711
//
// A seed decides the requests, the faults and when they happen, and how long
// every call takes. It lives in a bubble of testing/synctest, so minutes of the
// fleet's time take milliseconds. What a seed does not decide is the order of
// what happens at one instant, nor the jitter of package math/rand/v2 in the
// parts themselves: -seed therefore tries its seed up to 200 times.
//
// # What is real
//
// dispatcher.Dispatcher, worker.Worker and builds.Builder are; queues, ledger,
// leases, records, slots, token bucket and function service are the in-memory
// implementations that the contract suites hold to the same behaviour as SQS,
// Redis and Lambda. Each process (a site) reaches them through a gate of its
// own, which delays calls, fails them, loses their answers, holds them back
// while the process is stopped, and swallows them once it was killed. A call
// that was held back still takes effect when the process goes on, however old it
// is by then: that is what fences are for.
//
// # What is checked
//
// At every step: a function is made of its script's own code and layers and
// invoked by its own tenant; a run that is to execute at most once does; a run
// executes again, and a layer is built again, only where something befell the
// one before; a result is repeated byte for byte; no record is written over by
// an older fence; in a calm seed (one in which nothing dies, stalls or is cut
// off) no delivery that a worker holds comes to another, and a warm run is
// served beside a crowd that waits for a build. At the end: one result for each
// request, or a dead letter; attempts that tell of every execution; the books
// balance; nothing is left on a queue, leased, claimed, capped or running.
//
// # Exceptions
//
// Forgetting is what Redis may do at any time. After it a run whose delivery
// comes again may be executed again, which its result tells, and that result may
// differ from one that was published before; what is built is found by its
// name, and a build under way may have a second beside it. Where the request
// itself comes again as well, a dispatcher notes the forgotten run as if it were
// new, and that it may have executed is not told.
//
// A call of the ledger's that was on its way when its process was stopped, and
// arrives after Redis has forgotten, puts a claim back that may have been lost
// before: see package ledger. The books may then have a run open that is done.
package simulation
