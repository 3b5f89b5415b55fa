package worker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

func of(tenant string) func(*run.Request) { return func(r *run.Request) { r.Tenant = tenant } }

// count is the value of one of the worker's counters.
func (b *bench) count(name string) float64 {
	b.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	b.Fatalf("there is no %s", name)
	return 0
}

// flood sends n runs of one tenant, and lets the worker receive.
func (b *bench) flood(n int, change ...func(*run.Request)) {
	for i := range n {
		b.send(ask(fmt.Sprint("flood-", i), append(change, of("flood"))...))
	}
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

func TestTenantThatHasAllTurnsAndFloodsKeepsNobodyWaiting(t *testing.T) {
	with(t, worker.Config{Concurrency: 4}, func(b *bench) {
		b.lasting(20 * time.Second)
		b.flood(100)
		began := time.Now()
		b.send(ask("quiet", of("quiet")))
		for b.result().Subject != "quiet" {
		}
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the quiet run of 20 s had its result after %s", took)
		}
	})
}

func TestWhatIsAboveATenantsShareIsPutBackAndServedLater(t *testing.T) {
	with(t, worker.Config{Concurrency: 2, Reserve: new(0)}, func(b *bench) {
		b.lasting(100 * time.Millisecond)
		b.flood(40)
		served := map[string]bool{}
		for range 40 {
			r := b.result()
			if r.Data.Attempt != 1 || r.Data.Status != run.Succeeded {
				t.Errorf("%s: %s in attempt %d", r.Subject, r.Data.Status, r.Data.Attempt)
			}
			served[r.Subject] = true
		}
		if len(served) != 40 {
			t.Errorf("%d of 40 runs were served", len(served))
		}
	})
}

func TestWhatIsAboveATenantsShareIsKeptForAMoment(t *testing.T) {
	with(t, worker.Config{Concurrency: 2, Reserve: new(0)}, func(b *bench) {
		b.lasting(50 * time.Second)
		b.flood(8)
		b.depth(b.partition, queue.Depth{InFlight: 8})
		if n := b.count("scriptfleet_worker_crowded_total"); n != 0 {
			t.Errorf("%v deliveries went back at once", n)
		}
		time.Sleep(3 * time.Second)
		if n := b.count("scriptfleet_worker_crowded_total"); n == 0 {
			t.Error("no delivery went back, for a worker that has less of the tenant")
		}
	})
}

func TestWhatIsKeptGoesBackAtOnceWhenTheWorkerStops(t *testing.T) {
	with(t, worker.Config{Concurrency: 2, Reserve: new(0)}, func(b *bench) {
		b.lasting(10 * time.Second)
		b.flood(8)
		b.StopIntake()
		time.Sleep(100 * time.Millisecond)
		b.depth(b.partition, queue.Depth{Visible: 6, InFlight: 2})
	})
}

func TestTenantWithManyNewScriptsLeavesRoomToPark(t *testing.T) {
	with(t, worker.Config{Concurrency: 2, MaxParked: 8}, func(b *bench) {
		built := b.builds.hold("slow to build")
		defer built()
		b.flood(30, script("slow to build"))
		quiet := b.builds.hold("new as well")
		b.send(ask("quiet", of("quiet"), script("new as well")))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		quiet()
		began := time.Now()
		b.want("quiet", run.Succeeded, 1)
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("the run was not parked: it had its result %s after the build", took)
		}
	})
}

func TestCappedRunTakesThePlaceOfTheTenantsNextThatEnds(t *testing.T) {
	with(t, worker.Config{Concurrency: 4}, func(b *bench) {
		b.limits.MaxRunning = 1
		b.lasting(300 * time.Millisecond)
		began := time.Now()
		b.flood(3)
		for range 3 {
			b.result()
		}
		if took := time.Since(began); took > 1500*time.Millisecond {
			t.Errorf("three runs of 300 ms one after another took %s", took)
		}
	})
}
