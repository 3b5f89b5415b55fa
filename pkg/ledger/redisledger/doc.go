// Package redisledger keeps the ledger in Redis: a hash for each run, a sorted
// set of the open runs, and a hash that counts the finished ones.
//
// Every operation is one script (lua/*.lua, after lua/prelude.lua), which sees
// and changes all that it is about at one instant. So the promises of the
// contract hold without a lock:
//
//   - Of many claims on one run, one finds it free.
//   - The books are counted by what stands in the sorted set and the hash, and
//     both change in the script that changes the record. They cannot disagree,
//     and a FLUSHALL takes all of it at once.
//   - Claims run out by the server's clock, never by a client's.
//   - A fence is the server's clock in microseconds, or one more than the run's
//     last fence where that is greater. So fences rise after a FLUSHALL, which
//     takes the last fence along, and when the clock is set back, which leaves
//     it there. Only a failover that loses a grant to a replica whose clock is
//     behind can repeat one.
//
// A warm run costs five round trips over its whole life (Accept, Claim,
// Invoking, Finish, Published), of which all but Invoking are shared by as many
// runs as come together. Calls about more than 500 runs are made in turns.
//
// # What it needs of Redis
//
// Redis 6.2 to 7.0 commands on one primary, with replicas as one likes: the
// scripts touch several keys, so Redis Cluster is no home for it. The policy for
// a full memory should be noeviction, or volatile-ttl: the books have no TTL,
// and losing them alone would make them count anew. The client should be made
// with ContextTimeoutEnabled, else go-redis lets a call outlive its deadline by
// its own read timeouts, once for each retry.
//
// # Memory
//
// An open run takes some 500 bytes with its place among the open ones, a
// published one 120 to 136 (and its entry in Redis' table of expiries, 24 or
// so): state, status, time and attempts. Results lie in Redis from Finish to Published
// only.
package redisledger
