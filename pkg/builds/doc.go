// Package builds makes sure that any number of runs of a new script, on any
// number of workers, cause one build of it.
//
// # What is built
//
// A build has two steps. The env step makes a layer from requirements. The
// script step makes a function from a script and its layer. The name of a layer
// or a function is a digest of all its inputs, and neither is ever updated. So
// a layer or function that exists under a name is the right one, and a conflict
// on create means that it exists. The lease and the record below only save
// work: two builders of one name cost a second build and cannot make a wrong
// function.
//
// A [Builder] takes a step through these states:
//
//	         ┌─────────── a signal, the look timer, or the lease may have expired ───┐
//	         ▼                                                                        │
//	look at the record ──▶ wait for a place ──▶ take the lease ──▶ held by another ──▶┘
//	  │ built, failed                              │ granted
//	  ▼                                            ▼
//	answer                       look at the record, and at the service itself
//	  ▲                                            │ not there
//	  │                                            ▼
//	  │                       check and pack, have the layer made, create, await
//	  │                                            │
//	  └──── release the lease ◀── write the record ◀┘
//
// A worker has one flight for each step, shared by all runs that wait for it. A
// run that stops waiting does not end the flight. A flight that holds the lease
// finishes the build even when no run waits any more. A flight that waits for
// another worker ends when no run waits for it.
//
// # The lease
//
// The step's lease, build/env/… or build/script/…, lasts 15 s and is renewed
// every 5 s. Its holder trusts it for 12 s from before the call that granted
// it, by its own clock (see package lease), and asks [lease.Hold.Valid] before
// each call of the control plane and before it writes the record.
//
// A worker that finds the lease held does not ask for it again before its TTL
// has passed, unless a signal comes. Meanwhile it reads the record every 1 to 5
// seconds. If Redis loses the lease, the holder's next renewal, at most 5 s
// later, restores it before one of the waiting workers asks. Only a worker that
// first needs the script within those 5 s begins a second build.
//
// # The record
//
// [Records] holds one record for each step: built, or failed with the time until
// which the failure is remembered. A write compares fences, so a holder that
// lost its lease without noticing cannot overwrite its successor's record; it
// answers with the successor's record instead. A missing record proves nothing,
// since Redis may have lost it. The leader therefore asks Lambda before it
// makes anything: GetFunction for a function (which the token bucket does not
// limit), the newest version under the layer's name for a layer. It does not look
// for the layer where its lease is the first of that env ([lease.Lease].First):
// then nobody has begun, and the look, which the token bucket limits, would be a
// third of the calls that a new env takes. Where Redis has lost the earlier lease
// as well as the record, or both are older than they are kept, the next script of
// the env publishes a second version with the same content: one build more, and
// every function keeps the version that it was made with. A worker takes
// from a record only that the function or the layer exists: it computes the
// function's name itself, and accepts a layer's ARN only if it contains the
// layer's name.
//
// # Failures
//
// A failure that only the author can mend (owner author, not retryable) is
// remembered for 5 minutes: the same script fails in the same way, and a mended
// script has another hash. Every other failure, the operator's included, is
// remembered for 5 s, and for twice as long after each further failure, up to
// 60 s. After that time one worker gets the lease and tries again, and the
// others wait for its result. A run that waits for a build that fails gets the
// build's reason and log, also when it learns of the failure only after that
// time has passed. An env's failure is written into the script's record too,
// with the same end. A worker also keeps failures in memory, so that many runs
// of a broken script cost no round trips.
//
// A 429 is no failure: the call is repeated after a jittered pause, until the
// build's time is up (10 minutes; the time that the build waits for its env
// does not count). A call whose outcome is unknown is tried five times: a
// create that took effect without an answer ends in a conflict, and a layer is
// looked for before it is published again.
//
// # When a worker dies
//
// When a leader dies, one of the waiting workers takes its lease once it has
// run out, at most 15 s and a little later. What that worker then does depends
// on where the leader died:
//
//	before it published the layer   the layer is looked for and built again
//	after that                      the layer is found by its name, since the
//	                                next lease is not the first
//	after it created the function   the function is found; nothing is made
//	after it wrote the record       the record answers; the lease runs out unused
//
// So builds started ≤ 1 + builders that died. A leader that is paused for
// longer than its lease and then resumes is in the same position as one that
// died, plus one call: the call that it had sent before the pause still takes
// effect. If that is a create, one of the two leaders gets a conflict. If it is
// a publish, the layer has a second version with the same content, which is not
// used. If it is a delete (of a Failed function), it may delete the function
// that the successor made: the next invoke does not find it, and Forget has it
// built again.
//
// A waiting worker that dies leaves nothing behind. A worker that stops lets
// its builds finish ([Builder.Close]). When their time is up, it cancels them,
// releases their leases and signals the waiting workers, which take the builds
// over at once.
//
// Redis flushed: see above; functions known in memory are still used. Redis out
// of reach: a leader goes on while it trusts its lease, and answers its runs
// even if it could not write the record; the other workers wait and try again
// for as long as a run waits for them.
//
// # Env runners
//
// The function of an env runner is built as that of any script: it is a script
// without a source (see run.RunnerOf), with the same records, leases, failures and
// names. [Builder.Bridge] finds the one that executes a script whose own function
// is not built; [Builder.Behind] has built what no run in hand waits for.
//
// # Who goes first
//
// A worker has places for a few builds at a time, which are not the turns of
// its runs. In the places and in the fleet's token bucket, builds go in the
// order of their priorities ([ForRun], [ForRunner], [Behind], [Ahead]); a build
// moves up when a caller of an earlier priority joins it. Among builds of one
// priority, the tenant that has built for the fewest seconds goes first. One
// place stays free of builds that no run waits for. While a
// script's flight waits for its env's flight, it holds no place: it lends its
// place to an env flight that it starts, and gives it back if the env's flight
// is already under way. So waiting flights never keep the flight that they wait
// for from getting a place.
//
// A worker whose build no run waits for cannot learn that a run on another worker
// does. So each paced call of such a build has its own priority for at most 30 s,
// and then that of a build that a run waits for.
package builds
