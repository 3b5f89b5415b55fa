package look

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

func TestATenantsStateIsToldFromItsSettings(t *testing.T) {
	settings, err := tenant.Parse([]byte(`{"unknown":"refuse","defaults":{"max_running":9},"tenants":{"a":{},"p":{"paused":true},"s":{"max_running":0},"w":{"weight":3,"paused":false}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "active", "w": "active", "p": "paused", "s": "stopped", "nobody": "refused"} {
		if got := LimitsOf(settings, name); got.State != want {
			t.Errorf("%s is %s", name, got.State)
		}
	}
}

func TestSharesAreOfWhatExecutesAndDuesOfWeights(t *testing.T) {
	count := func(n int) *int { return &n }
	all := []Tenant{
		{Tenant: "a", State: "active", Open: 9, Weight: 3, Running: count(6)},
		{Tenant: "b", State: "active", Open: 1, Weight: 1, Running: count(2)},
		{Tenant: "paused", State: "paused", Open: 5, Weight: 7, Running: count(0)},
		{Tenant: "idle", State: "active", Weight: 2, Running: count(0)},
		{Tenant: "uncapped", State: "active", Open: 1, Weight: 4},
	}
	divide(all)
	for i, want := range []struct{ share, due float64 }{{0.75, 0.375}, {0.25, 0.125}, {}, {}, {0, 0.5}} {
		if got := all[i]; got.Share != want.share || got.Due != want.due {
			t.Errorf("%s has %g, and is due %g", got.Tenant, got.Share, got.Due)
		}
	}
}
