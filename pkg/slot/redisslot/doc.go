// Package redisslot counts slots in Redis. Each scope with a taken slot has a
// sorted set of its owners, scored by the end of their slots. The key expires
// with the scope's last slot.
//
// Take, Renew and InUse are Lua scripts (lua/*.lua), which Redis runs
// atomically: no other client takes a slot between a count and the grant that
// depends on it. Slots end by the server's clock. The scripts use commands of
// Redis 6.2, and several keys each, so they need one primary (with replicas)
// and not Redis Cluster. Make the client with ContextTimeoutEnabled.
package redisslot
