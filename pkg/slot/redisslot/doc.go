// Package redisslot counts slots in Redis: a sorted set for each scope that has
// slots taken, of their owners by the end of each slot. The key expires with
// its last slot, so an idle scope leaves nothing behind.
//
// Each operation is one script (lua/*.lua) for any number of asks, so that a
// count and the grant that follows from it are of one instant; slots end by the
// server's clock. The scripts use commands of Redis 6.2 and touch several keys:
// one primary with replicas, not Redis Cluster. Make the client with
// ContextTimeoutEnabled.
package redisslot
