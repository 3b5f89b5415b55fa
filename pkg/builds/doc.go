// Package builds makes sure that any number of runs of a new script, on any
// number of workers, cause one build of it.
//
// # What is built
//
// A build has two steps. The env step makes a layer of requirements, the script
// step a function of a script and its layer. Both are named by a digest of all
// that goes into them and are never updated. So what is there under a name is
// right, whoever made it; a conflict on create means that it is there; and
// everything below only saves work. Two builders of one name are a waste and
// never a wrong function.
//
// A [Builder] goes through a step so:
//
//	         ┌────────────── signalled, time to look, lease may have run out ────────┐
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
// In a worker a step is one flight, however many runs wait for it: a run that
// leaves ends nothing. A flight that leads goes on without anybody; one that
// waits for another worker ends when nobody waits for it.
//
// # The lease
//
// The step's lease, build/env/… or build/script/…, lasts 15 s and is renewed
// every 5 s. Its holder trusts it for 12 s from before the call that granted it,
// by its own clock (see package lease), and asks [lease.Hold.Valid] before each
// call of the control plane and before it writes the record.
//
// Who finds it held does not ask for it again before it can have run out, unless
// a signal comes. Meanwhile it looks at the record, every one to five seconds.
// When Redis forgets the lease, its holder's next renewal is thus there before
// anybody else asks, and only a worker that hears of the script in those five
// seconds begins a second build.
//
// # The record
//
// [Records] holds one for each step: built, or failed and until when that is
// remembered. It is written by a compare of fences, so a holder that lost its
// lease without noticing can not write over its successor: it takes what the
// successor wrote. A missing record says nothing. The leader therefore asks the
// service before it makes anything: GetFunction for a function, which is not
// paced, and the newest version of the layer's name for a layer. A worker
// believes of a record only that something is there. The name to invoke it
// computes, and an ARN has to carry the layer's name.
//
// # Failures
//
// What only the author can mend (owner author, not retryable) is remembered for
// 5 minutes: the same script fails in the same way, and a mended one is another
// script. All else, the operator's failures too, is remembered for 5 s, then 10,
// up to 60. When the time is up the lease lets one worker probe, and the others
// wait for what it finds. Whoever waits for a failing build gets its reason and
// its log, also when the signal came late and the time is up. An env's failure
// is written for the script too, with the same end. Failures are kept in the
// worker's memory as well, so that a flood of runs of a broken script costs no
// round trips.
//
// A 429 is no failure: the call is made again, after a jittered pause, for as
// long as the build may last (10 minutes, in which its waits for others do not
// count). A call whose outcome is unknown is tried five times: an unanswered
// create that took effect ends in a conflict, and before a layer is published
// again it is looked for.
//
// # When somebody dies
//
// A leader that dies is succeeded when its lease has run out, by one of those
// who wait: within 15 s, and a moment. By where it died:
//
//	before it published the layer   the layer is built again
//	after that                      the layer is found by its name
//	after it created the function   the function is found; nothing is made
//	after it wrote the record       the record answers; the lease runs out unused
//
// So builds started ≤ 1 + builders that died. A leader that is stopped past its
// lease and goes on is in the same place, with one call more: what was on its
// way to the service when it stopped still takes effect. A create then ends in a
// conflict for one of the two. A publish makes a second version of the same
// layer, which nobody uses. A delete (of a Failed function) may take away what
// the successor made: the next invoke finds it missing, and Forget has it built
// again.
//
// A worker that waits and dies leaves nothing behind. One that stops in good
// order lets its builds finish ([Builder.Close]), or ends them, gives the leases
// back and tells those who wait, who take them up at once.
//
// Redis flushed: see above; functions known in memory are served on. Redis out
// of reach: a leader goes on while it trusts its lease, and its run is answered
// though the record could not be written; others wait and try again, as long as
// their runs do.
//
// # Who goes first
//
// A worker has places for a few builds at a time, apart from the turns of its runs.
// Builds that a run waits for go before builds made ahead, in the places and in
// the fleet's token bucket, and a build made ahead moves up when a run joins it.
// Among equals the tenant goes first that has built for the fewest seconds. One
// place is kept free of builds made ahead. A script's flight lends its place to
// its env's, or gives it back while it waits for one that is under way, so those
// who wait never keep places from the one that they wait for.
//
// Another worker cannot be told that a run now waits for a build that it makes
// ahead. So such a build stands back for 30 s at most once it holds a lease.
package builds
