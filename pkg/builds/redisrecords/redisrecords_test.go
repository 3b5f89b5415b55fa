package redisrecords_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/recordstest"
	"github.com/scriptfleet/scriptfleet/pkg/builds/redisrecords"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

func TestContractOnRedis(t *testing.T) {
	s := redistest.Start(t)
	rdb, fleet := redistest.Connect(t, s.Addr), redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "test"))
	recordstest.Run(t, func(t *testing.T, test func(*testing.T, recordstest.Env)) {
		rdb.FlushAll(context.Background())
		pass := func(d time.Duration) { redistest.Age(t, rdb, d) }
		test(t, recordstest.Env{Records: open(t, fleet), Pass: pass})
	})
}

func TestContractOnMiniredis(t *testing.T) {
	recordstest.Run(t, func(t *testing.T, test func(*testing.T, recordstest.Env)) {
		m := miniredis.RunT(t)
		test(t, recordstest.Env{Records: open(t, redistest.Connect(t, m.Addr())), Pass: m.FastForward})
	})
}

func TestWatchersAreToldAfterRedisCameBack(t *testing.T) {
	s := redistest.Start(t)
	records := open(t, redistest.Connect(t, s.Addr))
	changed, stop, err := records.Watch(t.Context(), "h")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	s.Stop()
	s.Restart()
	await(t, changed) // the watch is signalled after the reconnection
	wait.Until(t, 10*time.Second, "Redis does not come back", func() bool {
		return records.Put(t.Context(), "h", builds.Record{ARN: "a", Fence: 1}, 0) == nil
	})
	await(t, changed)
}

func TestWatchFailsSoonWhileRedisIsAway(t *testing.T) {
	s := redistest.Start(t)
	records := open(t, redistest.Connect(t, s.Addr))
	s.Stop()
	start := time.Now()
	if _, _, err := records.Watch(t.Context(), "h"); err == nil {
		t.Error("a watch without a subscription")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("told after %s", took)
	}
	s.Restart()
	wait.Until(t, 10*time.Second, "no watch begins", func() bool { _, _, err := records.Watch(t.Context(), "h"); return err == nil })
}

func TestRecordThatCannotBeReadIsNone(t *testing.T) {
	m := miniredis.RunT(t)
	records := open(t, redistest.Connect(t, m.Addr()))
	m.HSet("test:build:{h}", "fence", "7", "record", "no JSON")
	if _, ok, err := records.Get(t.Context(), "h"); ok || err != nil {
		t.Errorf("there %t, error %v", ok, err)
	}
}

func await(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("not told within 10s")
	}
}

func open(t *testing.T, rdb *redis.Client) *redisrecords.Records {
	r := redisrecords.New(rdb, "test")
	t.Cleanup(func() { r.Close() })
	return r
}
