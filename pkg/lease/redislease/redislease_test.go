package redislease

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/lease/leasetest"
)

func TestContractOnRedis(t *testing.T) {
	s := redistest.Start(t)
	rdb, fleet := redistest.Connect(t, s.Addr), redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "test"))
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, leasetest.Env)) {
		flush := func() { rdb.FlushAll(context.Background()) }
		flush()
		pass := func(d time.Duration) { redistest.Age(t, rdb, d) }
		test(t, leasetest.Env{Leases: New(fleet, "test"), Pass: pass, Flush: flush})
	})
}

func TestContractOnMiniredis(t *testing.T) {
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, leasetest.Env)) {
		m := miniredis.RunT(t)
		rdb := redistest.Connect(t, m.Addr())
		test(t, leasetest.Env{Leases: New(rdb, "test"), Pass: m.FastForward, Flush: m.FlushAll})
	})
}

func TestLeaseRunsOutByTheServersOwnClock(t *testing.T) {
	leases := New(redistest.Connect(t, redistest.Start(t).Addr), "test")
	first, err := leases.Acquire(t.Context(), "k", "a", 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "the lease still holds", func() bool {
		second, err := leases.Acquire(t.Context(), "k", "b", time.Second)
		if err == nil && second.Fence <= first.Fence {
			t.Fatalf("fence %d after %d", second.Fence, first.Fence)
		}
		return err == nil
	})
}
