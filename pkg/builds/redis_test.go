package builds_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/redisrecords"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease/redislease"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/redisratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The other tests run in a synctest bubble, which a real Redis cannot be part
// of.
func TestOneBuildOnRealRedis(t *testing.T) {
	s := redistest.Start(t)
	service := newLambda()
	const ttl = 3 * time.Second // renewed in time on a busy machine too
	service.set(func(ctx context.Context, _ *worker, op, _ string) error {
		if op == "Create" { // longer than the lease
			select {
			case <-ctx.Done():
			case <-time.After(ttl + time.Second):
			}
		}
		return ctx.Err()
	}, nil)
	var wg sync.WaitGroup
	var got answers
	for i := range 4 {
		w := onRedis(t, s.Addr, fmt.Sprint("worker-", i), ttl, service)
		for range 50 {
			got.ensure(&wg, w, plain)
		}
	}
	wg.Wait()
	if functions, _ := service.created(); functions != 1 || service.called("Create") != 1 {
		t.Errorf("%d functions by %d calls", functions, service.called("Create"))
	}
	if n := got.outcomes(); n[run.BuildBuilt] != 1 || n[run.BuildWaited] != 199 || len(got.errs) > 0 {
		t.Errorf("outcomes %v, errors %v", n, got.errs)
	}
}

// Redis 7 gives a new user no channels.
func TestWaitersHearOfABuildSoonWithoutChannels(t *testing.T) {
	s := redistest.Start(t)
	noChannels := redistest.AsFleet(t, s, "test", "resetchannels")
	service := newLambda()
	building := make(chan struct{})
	service.set(func(ctx context.Context, _ *worker, op, _ string) error {
		if op == "Create" {
			close(building)
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
		return ctx.Err()
	}, nil)
	var wg sync.WaitGroup
	var got answers
	var led time.Time
	leader := onRedis(t, s.Addr, "leader", time.Minute, service, noChannels)
	wg.Go(func() {
		if _, err := leader.Ensure(t.Context(), plain, builds.ForRun); err != nil {
			t.Error(err)
		}
		led = time.Now()
	})
	<-building
	began := time.Now()
	got.ensure(&wg, onRedis(t, s.Addr, "waiter", time.Minute, service, noChannels), plain)
	wg.Wait()
	// The function is made in 2 s, and active after 2 more.
	if leads, waits := led.Sub(began), time.Since(led); leads > 6*time.Second || waits > time.Second {
		t.Errorf("the leader has it after %s, the waiter %s later", leads, waits)
	}
	if n := got.outcomes(); n[run.BuildWaited] != 1 || len(got.errs) > 0 {
		t.Errorf("outcomes %v, errors %v", n, got.errs)
	}
}

func onRedis(t *testing.T, addr, name string, ttl time.Duration, service *lambda, change ...func(*goredis.Options)) *worker {
	rdb := redistest.Connect(t, addr, change...)
	records := redisrecords.New(rdb, "test")
	w := &worker{name: name, metrics: prometheus.NewRegistry(), over: make(chan struct{})}
	w.Builder = builds.New(builds.Config{Worker: name, LeaseTTL: ttl}, builds.Deps{
		Leases: redislease.New(rdb, "test"), Records: records,
		Limiter: redisratelimit.New(redisratelimit.Config{Prefix: "test", Rate: function.ControlPlane}, rdb),
		Maker:   &caller{service, w}, Layers: &siteLayers{newLayers(), w}, Packager: &packer{},
		Log: zap.NewNop(), Registerer: w.metrics,
	})
	t.Cleanup(func() {
		w.Close(context.Background())
		records.Close()
	})
	return w
}
