package redislease

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/lease/leasetest"
)

func TestContractOnRedis(t *testing.T) {
	rdb := connect(t, redistest.Start(t).Addr)
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, leasetest.Env)) {
		flush := func() { rdb.FlushAll(context.Background()) }
		flush()
		pass := func(d time.Duration) { fastForward(t, rdb, d) }
		test(t, leasetest.Env{Leases: New(rdb, "test"), Pass: pass, Flush: flush})
	})
}

func TestContractOnMiniredis(t *testing.T) {
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, leasetest.Env)) {
		m := miniredis.RunT(t)
		rdb := connect(t, m.Addr())
		test(t, leasetest.Env{Leases: New(rdb, "test"), Pass: m.FastForward, Flush: m.FlushAll})
	})
}

func TestLeaseRunsOutByTheServersOwnClock(t *testing.T) {
	leases := New(connect(t, redistest.Start(t).Addr), "test")
	first, err := leases.Acquire(t.Context(), "k", "a", 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if second, err := leases.Acquire(t.Context(), "k", "b", time.Second); err == nil {
			if second.Fence <= first.Fence {
				t.Fatalf("fence %d after %d", second.Fence, first.Fence)
			}
			return
		}
	}
}

func connect(t *testing.T, addr string) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// fastForward shortens the life of every key by d, as if d had passed.
func fastForward(t *testing.T, rdb *redis.Client, d time.Duration) {
	t.Helper()
	const script = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end`
	if err := rdb.Eval(t.Context(), script, nil, d.Milliseconds()).Err(); err != nil && err != redis.Nil {
		t.Fatal(err)
	}
}
