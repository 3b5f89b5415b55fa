// Package scale plays a billion runs a week, 1,653 a second, through the
// project's own dispatchers, workers, fairness, ledger, credentials and builders
// in virtual time. It contains only tests; `make scale` plays the whole load,
// prints tables and draws a page.
//
// Everything else is in memory, and bound by the limits of one AWS account in one
// region: calls of Lambda's control plane, GetFunction, concurrent executions,
// messages in flight, calls of STS, code storage. The latencies are those of
// AWS: 10 ms for a call of SQS, 1 ms for a round trip to Redis, 4 ms for an
// invocation, 100 ms for the init phase of a cold start and 400 ms with a layer,
// 300 ms for a call of the control plane, 700 ms until a function is active, 3 s
// to install requirements, 30 ms for a call of STS.
//
// # The load
//
//   - 100,000 tenants. Their runs follow Zipf's law with exponent 1.15: the
//     busiest percent makes 80 % of the runs, as in the eight hours of Azure
//     Functions in which the busiest percent of owners made 81 %.
//   - Runs take 504 ms on average and 195 ms in the median, the figures of that
//     trace weighted by its invocations; they are log-normal by script.
//   - One minute in ten has three times the average rate.
//   - 100,000 edits of scripts in a day of eight hours, each followed by three
//     runs within a minute. One in ten changes the requirements to some that
//     nobody has.
//   - Seven of ten scripts have requirements; one of ten uses an AWS credential.
//   - Env runners are on: a new script of an env that its tenant has used before
//     runs in one.
//
// The fleet has been up for a day: each worker has the sessions of tenants, and
// knows the roles, that it would have by then. Functions have no environments yet,
// and the other memories are empty: what is counted and timed begins after a
// warm-up, which the plots show. With COLD=1 the workers start without sessions, as
// if all of them were restarted at once: STS then refuses calls at the first peak.
//
// # How long it plays
//
// A run costs about 0.2 ms of CPU, the play's own part included. An hour is six
// million runs: more than two cores can play in ten minutes, so the default is
// half an hour, and MINUTES=60 plays the whole. All waits of the model end on
// whole milliseconds: so many goroutines go on at the same moment, and both cores
// are used.
//
// # Where it breaks
//
// The report multiplies the use of each limit. A load twice as large meets the
// same limits as this load meets limits half as large: `make scale TIMES=2` plays
// that.
//
// # What it does not model
//
//   - Restarts of single workers, and environments that Lambda ends early.
//   - Failures: the simulation of package simulation has them, this has none.
//   - The CPU, the network and the connections of processes and of Redis: they
//     are computed from counts of this play and the figures of `make bench`.
//   - The ramp of concurrency (1,000 per 10 s and function, which no function
//     here comes near), the time to first byte of large bodies, throttling that
//     AWS does not document.
//   - The control plane's burst is taken to be one second's calls.
package scale
