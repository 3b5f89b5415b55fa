package redistest

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Connect returns a client with production's settings, for a server or for
// miniredis. It is closed with the test.
func Connect(t testing.TB, addr string, change ...func(*redis.Options)) *redis.Client {
	options := &redis.Options{Addr: addr, ContextTimeoutEnabled: true}
	for _, c := range change {
		c(options)
	}
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// NoRetries is for tests that count calls, or that make Redis unavailable.
func NoRetries(o *redis.Options) { o.MaxRetries = -1 }

// Eval runs a script and ignores its result.
func Eval(t testing.TB, c *redis.Client, script string, args ...any) {
	t.Helper()
	if err := c.Eval(t.Context(), script, nil, args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
}

// Age shortens the TTL of every key by d.
func Age(t testing.TB, c *redis.Client, d time.Duration) {
	t.Helper()
	Eval(t, c, `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end`, d.Milliseconds())
}
