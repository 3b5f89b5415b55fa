// Package redisratelimit limits the calls of all workers together, by one token
// bucket in Redis. A Lua script reads and writes it by the server's clock.
//
// If Redis loses the bucket, a new one starts with one token and without debt.
// Callers that wait for tokens of the old bucket then call at the rate, beside
// the callers of the new one: twice the rate, for at most ratelimit.MaxDebt. At
// worst Lambda answers some of them with 429. While Redis is out of reach, each
// worker uses a bucket of its own, with 1/Workers of the rate.
package redisratelimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
)

// Config of a Limiter.
type Config struct {
	Prefix string         // of the key in Redis
	Rate   ratelimit.Rate // of the whole fleet
	// Workers is the assumed number of workers that share the rate while Redis
	// is out of reach. Default 4.
	Workers int
	// Patience is how long one call of Redis may take. AwayFor is how long
	// Redis is not called again after a call that failed. Default 500 ms and 2
	// s.
	Patience, AwayFor time.Duration
}

// Limiter implements ratelimit.Limiter.
type Limiter struct {
	cfg   Config
	rdb   redis.Scripter
	local *ratelimit.Bucket
	away  atomic.Pointer[time.Time] // Redis is not called before this time
}

// New returns a limiter on the bucket under cfg.Prefix.
func New(cfg Config, rdb redis.Scripter) *Limiter {
	if cfg.Workers <= 0 {
		cfg.Workers = 4
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 500 * time.Millisecond
	}
	if cfg.AwayFor <= 0 {
		cfg.AwayFor = 2 * time.Second
	}
	share := ratelimit.Rate{PerSecond: cfg.Rate.PerSecond / float64(cfg.Workers), Burst: 1}
	return &Limiter{cfg: cfg, rdb: rdb, local: ratelimit.NewBucket(share)}
}

// KEYS  the bucket
// ARGV  tokens per second, burst, floor: least number of tokens after the grant
// Returns {1 if granted else 0, seconds to wait as a string}.
var take = redis.NewScript(`
local rate, burst, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local b = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(b[1] or '1'), tonumber(b[2] or now)
if now > at then
  tokens = math.min(burst, tokens + (now - at) * rate)
end
local left, granted, wait = tokens - 1, 0, 0
if left >= floor then
  granted, tokens, wait = 1, left, math.max(0, -left) / rate
else
  wait = (floor - left) / rate
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], 3600000)
return {granted, string.format('%.6f', wait)}
`)

// KEYS  the bucket
// ARGV  burst
// Returns 1.
var give = redis.NewScript(`
local tokens = redis.call('HGET', KEYS[1], 'tokens')
if tokens then
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', math.min(tonumber(ARGV[1]), tokens + 1)))
end
return 1
`)

// Wait implements ratelimit.Limiter.
func (l *Limiter) Wait(ctx context.Context, p ratelimit.Priority) error {
	var shared bool
	ask := func() (ratelimit.Answer, error) {
		if a, err := l.take(ctx, p); err == nil {
			shared = true
			return a, nil
		}
		shared = false
		return l.local.Take(time.Now(), p), ctx.Err()
	}
	return ratelimit.Pace(ctx, ask, func() { l.give(shared) })
}

var errAway = errors.New("redis was out of reach a moment ago")

func (l *Limiter) take(ctx context.Context, p ratelimit.Priority) (ratelimit.Answer, error) {
	if until := l.away.Load(); until != nil && time.Now().Before(*until) {
		return ratelimit.Answer{}, errAway
	}
	a, err := l.call(ctx, l.cfg.Rate.Floor(p))
	if err != nil && ctx.Err() == nil {
		until := time.Now().Add(l.cfg.AwayFor)
		l.away.Store(&until)
	}
	return a, err
}

func (l *Limiter) call(ctx context.Context, floor float64) (ratelimit.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Patience)
	defer cancel()
	v, err := take.Run(ctx, l.rdb, l.keys(), l.cfg.Rate.PerSecond, l.cfg.Rate.Burst, floor).Slice()
	if err != nil {
		return ratelimit.Answer{}, fmt.Errorf("take token: %w", err)
	}
	seconds, err := strconv.ParseFloat(v[1].(string), 64)
	if err != nil {
		return ratelimit.Answer{}, fmt.Errorf("take token: read wait: %w", err)
	}
	return ratelimit.Answer{Granted: v[0].(int64) == 1, Wait: time.Duration(seconds * float64(time.Second))}, nil
}

// give puts back a token that was not used. If that fails, the fleet makes one
// call less.
func (l *Limiter) give(shared bool) {
	if !shared {
		l.local.Give()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Patience)
	defer cancel()
	_ = give.Run(ctx, l.rdb, l.keys(), l.cfg.Rate.Burst).Err()
}

func (l *Limiter) keys() []string { return []string{l.cfg.Prefix + ":limit:controlplane"} }
