package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// parked measures the memory of a worker in which 1,000 runs of new scripts of
// ten tenants wait for their builds, each with an input of 10 KB. The proxy holds
// the builds.
func parked(ctx context.Context, b *bench) error {
	f, err := b.startProxied(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.tellMemory(b, "idle"); err != nil {
		return err
	}
	f.proxy.holdBack()
	const runs, kept = 1000, 40 // places that a worker keeps for a tenant that has none parked
	input := map[string]string{"text": strings.Repeat("x", 10_000)}
	for range runs / queue.MaxBatch {
		var ms []queue.Message
		for i := range queue.MaxBatch {
			m, err := ask{tenant: tenant(i), script: noop, input: input}.message(nextID())
			if err != nil {
				return err
			}
			ms = append(ms, m)
		}
		if err := errors.Join(f.requests.Send(ctx, ms)...); err != nil {
			return err
		}
	}
	for {
		n, err := f.workers[0].metric("scriptfleet_worker_parked")
		if err != nil {
			return err
		}
		if n >= runs-kept {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%.0f of %d runs are parked: %w", n, runs, ctx.Err())
		}
	}
	bytes, err := resident(f.workers[0].PID, "VmRSS")
	if err != nil {
		return err
	}
	if err := f.tellMemory(b, "with parked runs"); err != nil {
		return err
	}
	b.record("memory.parked", float64(bytes)/1e6)
	if b.profiles == "" {
		return nil
	}
	return f.workers[0].save(f.set, "/debug/pprof/heap?gc=1", filepath.Join(b.profiles, "parked-heap"))
}

// tellMemory says what the memory of the first worker consists of.
func (f *fleet) tellMemory(b *bench, when string) error {
	b.say("%s:", when)
	for _, field := range []string{"VmRSS", "RssFile", "RssAnon"} {
		bytes, err := resident(f.workers[0].PID, field)
		if err != nil {
			return err
		}
		b.say(" %s %.1f MB", field, float64(bytes)/1e6)
	}
	for _, metric := range []string{"go_memstats_heap_alloc_bytes", "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes", "go_memstats_sys_bytes", "go_memstats_heap_released_bytes"} {
		value, err := f.workers[0].metric(metric)
		if err != nil {
			return err
		}
		b.say(" %s %.1f", strings.TrimSuffix(strings.TrimPrefix(metric, "go_memstats_"), "_bytes"), value/1e6)
	}
	b.say("\n")
	return nil
}
