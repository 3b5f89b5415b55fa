package redisratelimit

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/ratelimittest"
)

func TestContractOnRedis(t *testing.T) {
	s := redistest.Start(t)
	rdb := redistest.Connect(t, s.Addr, redistest.NoRetries, redistest.AsFleet(t, s, "test"))
	ratelimittest.Run(t, func(t *testing.T, test func(*testing.T, ratelimittest.New)) {
		t.Parallel()
		test(t, func(t *testing.T, r ratelimit.Rate) ratelimit.Limiter {
			return New(Config{Prefix: "test:" + t.Name(), Rate: r}, rdb)
		})
	})
}

// A limiter without permissions in Redis passes the contract with its local
// bucket, so this test checks the permissions.
func TestTheSmallestPermissionsAreEnough(t *testing.T) {
	s := redistest.Start(t)
	l := New(Config{Prefix: "test", Rate: ratelimit.Rate{PerSecond: 10, Burst: 1}}, redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "test")))
	if _, err := l.call(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if err := give.Run(t.Context(), l.rdb, l.keys(), 1).Err(); err != nil {
		t.Error(err)
	}
}

func TestContractOnMiniredis(t *testing.T) {
	ratelimittest.Run(t, func(t *testing.T, test func(*testing.T, ratelimittest.New)) {
		t.Parallel()
		rdb := redistest.Connect(t, miniredis.RunT(t).Addr(), redistest.NoRetries)
		test(t, func(t *testing.T, r ratelimit.Rate) ratelimit.Limiter {
			return New(Config{Prefix: t.Name(), Rate: r}, rdb)
		})
	})
}

// The Lua has the same rules as ratelimit.Bucket, whose own tests check them.
func TestLuaAnswersAsTheBucketInMemoryDoes(t *testing.T) {
	m := miniredis.RunT(t)
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		rate := ratelimit.Rate{PerSecond: 1 + rnd.Float64()*20, Burst: 1 + rnd.Float64()*9}
		rate.Reserve = rnd.Float64() * (rate.Burst - 1)
		m.FlushAll()
		l, want := New(Config{Prefix: "p", Rate: rate}, redistest.Connect(t, m.Addr(), redistest.NoRetries)), ratelimit.NewBucket(rate)
		for step := range 100 {
			now = now.Add(time.Duration(rnd.IntN(300)-20) * time.Millisecond)
			m.SetTime(now)
			if rnd.IntN(10) == 0 {
				l.give(true)
				want.Give()
			}
			p := ratelimit.Priority(rnd.IntN(ratelimit.Priorities))
			a, err := l.take(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			b := want.Take(now, p)
			if d := a.Wait - b.Wait; a.Granted != b.Granted || d.Abs() > time.Millisecond {
				t.Fatalf("seed %d, step %d: Lua says %+v, the bucket %+v", seed, step, a, b)
			}
		}
	}
}

func TestWorkersShareOneBucket(t *testing.T) {
	addr := redistest.Start(t).Addr
	start := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		l := New(Config{Prefix: "p", Rate: ratelimit.Rate{PerSecond: 100, Burst: 2}}, redistest.Connect(t, addr, redistest.NoRetries))
		for range 10 {
			wg.Go(func() { takeToken(t, l) })
		}
	}
	wg.Wait()
	if took := time.Since(start); took < 380*time.Millisecond {
		t.Errorf("40 tokens of 100 a second took %s for 4 workers together", took)
	}
}

func TestRedisAwayPacesByTheLocalShare(t *testing.T) {
	s := redistest.Start(t)
	s.Pause()
	t.Cleanup(s.Resume)
	l := New(Config{
		Prefix: "p", Rate: ratelimit.Rate{PerSecond: 200, Burst: 5}, Workers: 4,
		Patience: 50 * time.Millisecond, AwayFor: time.Hour,
	}, redistest.Connect(t, s.Addr, redistest.NoRetries))
	start := time.Now()
	for range 20 {
		takeToken(t, l)
	}
	took := time.Since(start)
	if took < 380*time.Millisecond {
		t.Errorf("20 tokens of a share of 50 a second took %s", took)
	}
	if took > 5*time.Second {
		t.Errorf("20 tokens took %s: Redis was asked again and again", took)
	}
}

func TestRedisIsAskedAgainAfterAWhile(t *testing.T) {
	s := redistest.Start(t)
	rdb := redistest.Connect(t, s.Addr, redistest.NoRetries)
	l := New(Config{Prefix: "p", Rate: ratelimit.Rate{PerSecond: 1000, Burst: 5}, AwayFor: time.Millisecond}, rdb)
	s.Stop()
	takeToken(t, l)
	s.Restart()
	wait.Until(t, 10*time.Second, "Redis is not asked again", func() bool {
		takeToken(t, l)
		n, err := rdb.Exists(t.Context(), l.keys()...).Result()
		return err == nil && n == 1
	})
}

func TestFlushIsNoBurst(t *testing.T) {
	m := miniredis.RunT(t)
	now := time.Now()
	m.SetTime(now)
	l := New(Config{Prefix: "p", Rate: ratelimit.Rate{PerSecond: 10, Burst: 5}}, redistest.Connect(t, m.Addr(), redistest.NoRetries))
	for range 3 {
		m.FlushAll()
		if a, err := l.take(t.Context(), ratelimit.Waited); err != nil || !a.Granted || a.Wait != 0 {
			t.Fatalf("first after a flush: %+v, %v", a, err)
		}
		if a, err := l.take(t.Context(), ratelimit.Waited); err != nil || a.Wait <= 0 {
			t.Fatalf("second after a flush: %+v, %v", a, err)
		}
	}
}

func takeToken(t *testing.T, l *Limiter) {
	if err := l.Wait(context.Background(), ratelimit.Waited); err != nil {
		t.Error(err)
	}
}
