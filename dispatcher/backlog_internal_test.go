package dispatcher

import (
	"fmt"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

func TestTenantIsQuietUpToItsShareOfTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklogs(nil, func() int { return 12 }, zap.NewNop())
		limits := func(weight, maxRunning int) tenant.Limits {
			return tenant.Limits{Weight: weight, MaxRunning: maxRunning, MaxBacklog: 1000}
		}
		// quiet is how many of n further runs are sent as those of a quiet tenant.
		quiet := func(name string, n int, l tenant.Limits) (quiet int) {
			for range n {
				if _, load := b.add(name, l); load == run.Quiet {
					quiet++
				}
			}
			return quiet
		}
		for _, c := range []struct {
			tenant string
			limits tenant.Limits
			want   int
			why    string
		}{
			{"flood", limits(1, tenant.NoCap), 12, "alone it may use all 12 turns"},
			{"second", limits(1, tenant.NoCap), 6, "two tenants share them"},
			{"heavy", limits(2, tenant.NoCap), 6, "by weight, 2 of 4"},
			{"capped", limits(4, 2), 2, "its share is 6, and it may execute 2"},
			{"stopped", limits(1, 0), 0, "it may execute none"},
		} {
			if n := quiet(c.tenant, 20, c.limits); n != c.want {
				t.Errorf("%s is quiet for %d runs, want %d: %s", c.tenant, n, c.want, c.why)
			}
		}
		if n := quiet("flood", 1, limits(1, tenant.NoCap)); n != 0 {
			t.Error("a flood is quiet as others come")
		}
		for i := range 100 {
			if n := quiet(fmt.Sprint("small-", i), 1, limits(1, tenant.NoCap)); n != 1 {
				t.Fatalf("tenant %d of many is not quiet with its only run", i)
			}
		}
	})
}
