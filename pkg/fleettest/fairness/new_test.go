package fairness

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
)

const (
	newRate   = 100 // new scripts a second, of all tenants together
	newFor    = 4 * time.Second
	newAgain  = 2 * time.Second // after which each script comes a second time
	newWithin = 50 * time.Millisecond
)

// TestNewScriptsWaitForNoFunction sends more new scripts than Lambda's control
// plane makes functions, 15 a second. Env runners execute them at once; without
// runners they wait for their functions.
func TestNewScriptsWaitForNoFunction(t *testing.T) {
	at, calls := addedDelay(t, true)
	before, _ := addedDelay(t, false)
	t.Logf("p99 of the added delay: %s with env runners, %s without; %d calls of the control plane", at, before, calls)
	if at > newWithin {
		t.Errorf("the p99 of the added delay is %s, and is to be %s at most", at, newWithin)
	}
	if before < 10*newWithin {
		t.Errorf("without env runners it is %s: the load shows nothing", before)
	}
	figures.Record(t, "new.100", float64(at.Microseconds())/1000)
	figures.Record(t, "new.100.off", float64(before.Microseconds())/1000)
}

// addedDelay is how much longer than a warm run the runs of new scripts wait, at
// the 99th percentile.
func addedDelay(t *testing.T, runners bool) (p99 time.Duration, creates int) {
	synctest.Test(t, func(t *testing.T) {
		s, end := virtualSite(t)
		defer end()
		set := normal
		set.runners = runners
		f := s.open(t, set)
		defer f.close()
		tenants := quietTenants(quietCount)
		f.prepare(t, tenants)
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		load.Go(func() { f.quiet(ctx, tenants) })
		inmemory.Await(ctx, time.Second)
		before, began := len(f.functions.Calls("Create")), time.Now()
		for wave := range 2 {
			load.Go(func() {
				inmemory.Await(ctx, time.Duration(wave)*newAgain)
				f.fresh(ctx, tenants)
			})
		}
		inmemory.Await(ctx, newFor+newAgain+time.Second)
		until := time.Now()
		stop()
		load.Wait()
		p99 = f.begun.between(began, until, true).percentile(0.99) - f.begun.between(began, until, false).percentile(0.5)
		creates = len(f.functions.Calls("Create")) - before
	})
	return p99, creates
}

// fresh sends a run of newRate scripts a second, the same ones each time.
func (f *fleet) fresh(ctx context.Context, tenants []string) {
	var sends sync.WaitGroup
	defer sends.Wait()
	due := time.Now()
	for n := range int(newRate * newFor.Seconds()) {
		due = due.Add(time.Second / newRate)
		inmemory.Await(ctx, time.Until(due))
		i := n % len(tenants)
		f.ask(&sends, ask{tenant: i, due: due, new: true}, tenants[i], fmt.Sprint("# new ", n))
	}
}
