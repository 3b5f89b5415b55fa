// Package redislease grants leases from Redis. Each lease has two Redis keys,
// both with an expiry: the lease, and the last fence.
//
//	fence = max(the server's clock in µs, the last fence + 1)
//
// So fences rise after a FLUSHALL, which removes the last fence, and when the
// server's clock is set back, which does not. A fence can repeat only if two
// things happen at once: a failover loses the last grant, and the new primary's
// clock is behind.
package redislease

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
)

// remember is how long the last fence is kept: much longer than an owner holds
// a lease.
const remember = 24 * time.Hour

// Leases implements lease.Leases.
type Leases struct {
	rdb    redis.Scripter
	prefix string
}

// New returns the leases whose Redis keys begin with prefix.
func New(rdb redis.Scripter, prefix string) *Leases {
	return &Leases{rdb: rdb, prefix: prefix}
}

// KEYS  the lease, its last fence
// ARGV  owner, ttl of the lease and of the fence in ms
// Returns {1, fence, 1 without a last fence and else 0}, or {0, ms left, fence and owner} where the key is held.
var acquire = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held then
  return {0, redis.call('PTTL', KEYS[1]), held}
end
local now = redis.call('TIME')
local fence = now[1] * 1000000 + now[2]
local before = redis.call('GET', KEYS[2])
local last = tonumber(before or '0')
if last >= fence then fence = last + 1 end
fence = string.format('%.0f', fence)
redis.call('SET', KEYS[1], fence .. ' ' .. ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
return {1, fence, before and 0 or 1}
`)

// KEYS  the lease, its last fence
// ARGV  owner, ttl of the lease and of the fence in ms, fence
// Returns 1, or 0 where the lease is lost.
var renew = redis.NewScript(`
local mine = ARGV[4] .. ' ' .. ARGV[1]
local held = redis.call('GET', KEYS[1])
if held and held ~= mine then return 0 end
if not held then
  local last = redis.call('GET', KEYS[2])
  if last and last ~= ARGV[4] then return 0 end
end
redis.call('SET', KEYS[1], mine, 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
return 1
`)

// KEYS  the lease, its last fence
// ARGV  owner, ttl of the fence in ms, fence
// Returns 1. It increases the last fence by one, so that a renewal which arrives
// after the release does not grant the lease again.
var release = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[3] .. ' ' .. ARGV[1] then
  redis.call('DEL', KEYS[1])
end
if redis.call('GET', KEYS[2]) == ARGV[3] then
  redis.call('SET', KEYS[2], string.format('%.0f', tonumber(ARGV[3]) + 1), 'PX', ARGV[2])
end
return 1
`)

// Acquire implements lease.Leases.
func (r *Leases) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	v, err := acquire.Run(ctx, r.rdb, r.keys(key), owner, ttl.Milliseconds(), remember.Milliseconds()).Slice()
	if err != nil {
		return lease.Lease{}, fmt.Errorf("acquire lease %s: %w", key, err)
	}
	if v[0].(int64) == 0 {
		return lease.Lease{}, held(key, v[2].(string), v[1].(int64))
	}
	fence, err := strconv.ParseInt(v[1].(string), 10, 64)
	if err != nil {
		return lease.Lease{}, fmt.Errorf("acquire lease %s: read fence: %w", key, err)
	}
	return lease.Lease{Key: key, Owner: owner, Fence: fence, First: v[2].(int64) == 1}, nil
}

// Renew implements lease.Leases.
func (r *Leases) Renew(ctx context.Context, l lease.Lease, ttl time.Duration) error {
	ok, err := renew.Run(ctx, r.rdb, r.keys(l.Key), l.Owner, ttl.Milliseconds(), remember.Milliseconds(), l.Fence).Int()
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", l.Key, err)
	}
	if ok == 0 {
		return lease.ErrLost
	}
	return nil
}

// Release implements lease.Leases.
func (r *Leases) Release(ctx context.Context, l lease.Lease) error {
	if err := release.Run(ctx, r.rdb, r.keys(l.Key), l.Owner, remember.Milliseconds(), l.Fence).Err(); err != nil {
		return fmt.Errorf("release lease %s: %w", l.Key, err)
	}
	return nil
}

// keys returns the Redis keys of a lease. They share a hash tag, so that a
// Redis cluster keeps them on one node.
func (r *Leases) keys(key string) []string {
	k := r.prefix + ":lease:{" + key + "}"
	return []string{k, k + ":fence"}
}

func held(key, value string, leftMS int64) *lease.HeldError {
	_, owner, _ := strings.Cut(value, " ")
	left := time.Duration(max(leftMS, 0)) * time.Millisecond
	return &lease.HeldError{Key: key, Owner: owner, Left: left}
}
