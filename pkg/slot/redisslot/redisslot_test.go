package redisslot

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/slot/slottest"
)

func TestContractOnRedis(t *testing.T) {
	s := redistest.Start(t)
	client, fleet := redistest.Connect(t, s.Addr), redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "test"))
	slottest.Run(t, func(t *testing.T, test func(*testing.T, slottest.Env)) {
		flush := func() { client.FlushAll(context.Background()) }
		flush()
		pass := func(d time.Duration) { age(t, client, d) }
		test(t, slottest.Env{Slots: New(Config{Prefix: "test"}, fleet), Pass: pass, Flush: flush})
	})
}

func TestContractOnMiniredis(t *testing.T) {
	slottest.Run(t, func(t *testing.T, test func(*testing.T, slottest.Env)) {
		m, now := miniredis.RunT(t), time.Now()
		pass := func(d time.Duration) {
			now = now.Add(d)
			m.SetTime(now)
			m.FastForward(d)
		}
		pass(0)
		test(t, slottest.Env{Slots: New(Config{}, redistest.Connect(t, m.Addr())), Pass: pass, Flush: m.FlushAll, Slow: true})
	})
}

func TestAnIdleScopeLeavesNoKey(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	s := New(Config{}, client)
	must(t, s.Renew(t.Context(), []slot.Ask{{Scope: "given", Owner: "a"}, {Scope: "left", Owner: "a"}}, 50*time.Millisecond))
	must(t, s.Give(t.Context(), []slot.Ask{{Scope: "given", Owner: "a"}}))
	if _, err := s.Take(t.Context(), []slot.Ask{{Scope: "refused", Owner: "a", Cap: 0}}, time.Second); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "keys are left", func() bool { return client.DBSize(t.Context()).Val() == 0 })
}

func TestASlotRunsOutByTheServersOwnClock(t *testing.T) {
	s := New(Config{}, redistest.Connect(t, redistest.Start(t).Addr))
	if got, err := s.Take(t.Context(), []slot.Ask{{Scope: "s", Owner: "a", Cap: 1}}, 50*time.Millisecond); err != nil || !got[0] {
		t.Fatal(got, err)
	}
	must(t, s.Renew(t.Context(), []slot.Ask{{Scope: "s", Owner: "long"}}, time.Hour)) // keeps the key
	wait.Until(t, 10*time.Second, "the slot of a is not free", func() bool {
		n, err := s.InUse(t.Context(), []string{"s"})
		return err == nil && n[0] == 1
	})
}

func TestPrefixesAreApart(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	for _, c := range [][2]string{{"a", "x:slot:y"}, {"a:slot:x", "y"}, {"a%3Aslot%3Ax", "y"}} {
		got, err := New(Config{Prefix: c[0]}, client).Take(t.Context(), []slot.Ask{{Scope: c[1], Owner: c[0], Cap: 1}}, time.Minute)
		if err != nil || !got[0] {
			t.Errorf("%s under %s: %v, %v", c[1], c[0], got, err)
		}
	}
}

func TestARedisOutOfReachIsSaidToBe(t *testing.T) {
	server := redistest.Start(t)
	s := New(Config{Timeout: 50 * time.Millisecond}, redistest.Connect(t, server.Addr))
	check := func(why string) {
		t.Helper()
		for name, err := range slottest.CallAll(t.Context(), s) {
			if !errors.Is(err, slot.ErrUnavailable) {
				t.Errorf("%s: %s fails with %v", why, name, err)
			}
		}
	}
	server.Pause()
	check("paused")
	server.Stop()
	check("stopped")
	server.Restart() // without the scripts
	s = New(Config{}, redistest.Connect(t, server.Addr))
	for name, err := range slottest.CallAll(t.Context(), s) {
		if err != nil {
			t.Errorf("restarted: %s fails with %v", name, err)
		}
	}
}

// BenchmarkRunTakesAndGivesASlot has ten runs of a hundred tenants share a
// call.
func BenchmarkRunTakesAndGivesASlot(b *testing.B) {
	s := New(Config{}, redistest.Connect(b, redistest.Start(b).Addr))
	b.RunParallel(func(pb *testing.PB) {
		asks := make([]slot.Ask, 10)
		for i := 0; pb.Next(); i++ {
			for j := range asks {
				asks[j] = slot.Ask{Scope: fmt.Sprint("tenant-", (i*10+j)%100), Owner: fmt.Sprintf("%p-%d", asks, j), Cap: 1000}
			}
			if _, err := s.Take(b.Context(), asks, time.Minute); err != nil {
				b.Fatal(err)
			}
			if err := s.Give(b.Context(), asks); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(10*b.N)/b.Elapsed().Seconds(), "runs/s")
}

// age makes all that is stored older by d: TTLs and slots end sooner by d.
func age(t *testing.T, c *redis.Client, d time.Duration) {
	t.Helper()
	const script = `
for _, key in ipairs(redis.call('KEYS', 'test:slot:*')) do
  for _, owner in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    redis.call('ZINCRBY', key, -ARGV[1], owner)
  end
  redis.call('PEXPIRE', key, redis.call('PTTL', key) - ARGV[1])
end`
	redistest.Eval(t, c, script, d.Milliseconds())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
