package simulation

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	oneSeed = flag.Uint64("seed", 0, "simulate this seed, until it fails or has passed 200 times")
	seeds   = flag.Uint64("seeds", 200, "simulate so many seeds")
	from    = flag.Uint64("from", 1, "and begin with this one")
)

func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		for range 200 {
			if !holds(t, *oneSeed) {
				return
			}
		}
		return
	}
	var next atomic.Uint64
	next.Store(*from)
	t.Run("seeds", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < *from+*seeds && !t.Failed(); seed = next.Add(1) - 1 {
					holds(t, seed)
				}
			})
		}
	})
}

var report sync.Mutex

// holds runs a seed, and prints what happened if it fails.
func holds(t *testing.T, seed uint64) bool {
	f, err := Run(t, seed, nothing)
	if err == nil {
		return true
	}
	report.Lock()
	defer report.Unlock()
	t.Errorf("seed %d: %v\nagain: go test ./pkg/fleettest/simulation -run TestSimulation -seed %d\n%s", seed, err, seed, f.describe())
	return false
}

// describe is the plan, and the end of the trace.
func (f *fleet) describe() string {
	p := f.plan
	return fmt.Sprintf("calm %t, crowd %t, %d dispatchers, %d workers of %d runs, %d parked, cap %d, %d partitions, faults until %s\nrates %+v\naway %v, refusing %v, throttling %v\nevents %+v\n%s",
		p.calm, p.crowd, p.dispatchers, p.workers, p.concurrency, p.maxParked, p.cap, p.partitions, p.until,
		p.rates, p.away, p.refusing, p.throttle, p.events, f.trace.tail(*tail, *about))
}

var (
	tail  = flag.Int("tail", 40, "show so many lines of what happened before a failure")
	about = flag.String("about", "", "and all lines before that name this run")
)
