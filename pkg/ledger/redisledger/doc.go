// Package redisledger keeps the ledger in Redis: a string for each run (see
// lua/record.lua), a sorted set of the open runs, and two hashes that count the
// finished ones by status and the open ones by tenant.
//
// All that changes records is done by one Lua script (lua/record.lua, books.lua
// and calls.lua), which Redis runs atomically. A script makes many calls of
// several kinds in one pass: it reads all records with one command, makes the
// calls in their order, and writes each record that changed, and what changed in
// the books, once. So the contract holds without a lock:
//
//   - If several owners claim a run at once, the first script makes the grant,
//     and the others find it.
//   - The books are the size of the sorted set and the counts in the hashes. The
//     script that changes a record changes these too, so they agree. A FLUSHALL
//     removes all of them together.
//   - Claims run out by the server's clock, never by a client's.
//   - fence = max(the server's clock in µs, the run's last fence + 1). So
//     fences rise after a FLUSHALL, which removes the last fence, and when the
//     clock is set back, which does not. A fence can repeat only if a failover
//     loses the last grant and the new primary's clock is behind.
//
// A warm run needs Accept, Claim with Begin, Finish and Published. Runs that are
// handled together share scripts, and Together shares one among calls of several
// kinds. A call with more than 500 runs is split. Of 100 runs that share their
// calls, each takes 5 commands of the server, those inside of the script
// included; a run alone takes 25.
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
// An open run takes about 400 bytes, with its entry in the sorted set. A
// published run takes 120 bytes for its state, status, time and attempts, and
// about 24 in Redis' table of expiries. A result is in Redis only between Finish
// and Published. The summary of a finished run takes about 250 bytes; 200 of them
// are kept of each tenant, for 3 days after its last run, so at most 60 KB of a
// tenant. The newest 1,000 of all tenants, and of those that did not succeed, are
// kept a second time, in 700 KB at most.
//
// # Versions
//
// Until 29 November 2026 a record was a hash, under another key. A fleet that is
// upgraded finds no record of the runs that are open then, as after a loss of
// Redis: none is lost, and those that were accepted before say that they may have
// executed.
package redisledger
