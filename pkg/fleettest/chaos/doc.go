// Package chaos holds no code, only tests: what the fleet promises, under every
// fault that we can make. The fleet's binaries run as processes of their own,
// with a real redis-server and the embedded stack; each process reaches the two
// through lines of its own, on which a test cuts, slows, and holds a single call
// while it kills the process that made it. Nothing in the fleet knows of it.
//
//	process ──▶ toxiproxy ──▶ tap ──▶ Redis, or the stack's AWS endpoint
//	            cuts, slows   recognises calls: counts them, holds one
//
// Each fault is a subtest of TestPromisesHold, and each promise a subtest of
// that; README.md is the table of all, made by these tests with -chaos.update.
// The faults that take minutes need -chaos.long (make chaos).
//
// Nothing here waits for a fixed time, but where the fault is a time.
package chaos
