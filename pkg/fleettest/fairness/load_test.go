package fairness

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const (
	quietEvery = 2 * time.Second // interval of one quiet tenant's runs
	quietTakes = 100 * time.Millisecond
	warmSource = "def main(input): return input"
	flooder    = "flood"
)

var policy = func() *run.Policy {
	p, err := run.NewPolicy(run.PolicyConfig{Handler: "h1"})
	if err != nil {
		panic(err)
	}
	return p
}()

// event is a request for a run of the given duration; n is its number.
func event(tenant, id, source string, n int, takes time.Duration) []byte {
	body, err := json.Marshal(run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/fairness", ID: id, Tenant: tenant,
		Data: run.RequestData{
			Script: source, TimeoutSeconds: 30,
			Input: fmt.Appendf(nil, `{"n": %d, "ms": %d}`, n, takes.Milliseconds()),
		},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// quietTenants returns n names. Exactly one, the first, has the flood's shard
// (by chance that has a probability of 1/28), so that it is part of every
// measurement.
func quietTenants(n int) []string {
	shard := func(name string) []int {
		s := partition.Shard(name, partitions, normal.shard)
		slices.Sort(s)
		return s
	}
	flooded := shard(flooder)
	var first string
	var rest []string
	for i := 0; first == "" || len(rest) < n-1; i++ {
		name := fmt.Sprintf("quiet-%d", i)
		switch same := slices.Equal(shard(name), flooded); {
		case same && first == "":
			first = name
		case !same && len(rest) < n-1:
			rest = append(rest, name)
		}
	}
	return append([]string{first}, rest...)
}

var ids atomic.Int64

func nextID() string { return fmt.Sprint("r", ids.Add(1)) }

// quiet makes each tenant send a run every quietEvery, until ctx ends. The
// tenants are spread evenly over the interval, and each sends by itself.
func (f *fleet) quiet(ctx context.Context, tenants []string) {
	step := quietEvery / time.Duration(len(tenants))
	due := time.Now()
	var sends sync.WaitGroup
	defer sends.Wait()
	for i := 0; ctx.Err() == nil; i = (i + 1) % len(tenants) {
		due = due.Add(step)
		inmemory.Await(ctx, time.Until(due))
		if ctx.Err() != nil {
			return
		}
		f.ask(&sends, ask{tenant: i, due: due}, tenants[i], warmSource)
	}
}

// ask sends a quiet tenant's run.
func (f *fleet) ask(sends *sync.WaitGroup, a ask, tenant, source string) {
	n := f.begun.expect(a)
	body := event(tenant, nextID(), source, n, quietTakes)
	sends.Go(func() { _ = f.requests.Send(context.Background(), []queue.Message{{Body: body, Group: tenant}}) })
}

// newScripts makes each tenant send one run of a new script, spread over the
// duration.
func (f *fleet) newScripts(ctx context.Context, tenants []string, over time.Duration) {
	due := time.Now()
	var sends sync.WaitGroup
	defer sends.Wait()
	for i, name := range tenants {
		due = due.Add(over / time.Duration(len(tenants)))
		inmemory.Await(ctx, time.Until(due))
		f.ask(&sends, ask{tenant: i, due: due, new: true}, name, "# new "+nextID())
	}
}

// pour sends the flood's runs at the rate per second, ten per call, until ctx
// ends or total are sent.
func (f *fleet) pour(ctx context.Context, rate, total int, takes time.Duration, source func() string) {
	due := time.Now()
	var sends sync.WaitGroup
	defer sends.Wait()
	for sent := 0; sent < total && ctx.Err() == nil; sent += queue.MaxBatch {
		due = due.Add(time.Second * queue.MaxBatch / time.Duration(rate))
		inmemory.Await(ctx, time.Until(due))
		var ms []queue.Message
		for range queue.MaxBatch {
			ms = append(ms, queue.Message{Body: event(flooder, nextID(), source(), -1, takes), Group: flooder})
		}
		sends.Go(func() { _ = f.requests.Send(context.Background(), ms) })
	}
}
