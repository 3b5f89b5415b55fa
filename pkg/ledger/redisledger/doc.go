// Package redisledger keeps the ledger in Redis: a hash for each run, a sorted
// set of the open runs, and a hash that counts the finished ones.
//
// Every operation that changes a record is one Lua script (lua/prelude.lua and
// one of the other files), which Redis runs atomically. So the contract holds
// without a lock:
//
//   - If several owners claim a run at once, the first script makes the grant,
//     and the others find it.
//   - The books are the size of the sorted set and the counts in the hash. The
//     script that changes a record changes these too, so they agree. A FLUSHALL
//     removes all of them together.
//   - Claims run out by the server's clock, never by a client's.
//   - fence = max(the server's clock in µs, the run's last fence + 1). So
//     fences rise after a FLUSHALL, which removes the last fence, and when the
//     clock is set back, which does not. A fence can repeat only if a failover
//     loses the last grant and the new primary's clock is behind.
//
// A warm run needs five round trips (Accept, Claim, Invoking, Finish,
// Published). Runs that are handled together share all of them. A call with more
// than 500 runs is split.
//
// # What it needs of Redis
//
// It uses commands of Redis 6.2 to 7.0, on one primary with any number of
// replicas. Each script uses several keys without a common hash tag, so Redis
// Cluster cannot run it. Set maxmemory-policy to noeviction or volatile-ttl:
// the books have no TTL, so these policies do not evict them. Make the client
// with ContextTimeoutEnabled; otherwise a call of go-redis can take longer than
// its deadline, by one read timeout for each retry.
//
// # Memory
//
// An open run takes about 500 bytes, with its entry in the sorted set. A
// published run takes 120 to 136 bytes for its state, status, time and
// attempts, and about 24 in Redis' table of expiries. A result is in Redis only
// between Finish and Published.
package redisledger
