// Package chaos contains only tests: they check the fleet's promises under
// every fault that we can make. The fleet's binaries run as processes, with a
// real redis-server and the embedded stack. Each process has its own
// connections (lines) to both. On these a test can cut or delay traffic, and
// hold a single call while it kills the process that made it. The fleet's code
// has no part in this.
//
//	process ──▶ toxiproxy ──▶ tap ──▶ Redis, or the stack's AWS endpoint
//	            cuts, slows   recognises calls: counts them, holds one
//
// Each fault is a subtest of TestPromisesHold, and each promise is a subtest of
// its fault. README.md has the table of all results; -chaos.update rewrites it.
// Faults that take minutes run only with -chaos.long (make chaos).
//
// No test waits for a fixed time, unless the fault itself is a time.
package chaos
