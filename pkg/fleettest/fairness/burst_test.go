package fairness

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

var burst = flag.Bool("burst", false, "measure how fast a burst of runs is served on this machine")
var burstNoSide = flag.Bool("burst.noside", false, "without a side partition")

// burstOf is the load: ten tenants send all at once, and a script takes no time.
var burstOf = load{runs: 20_000, tenants: 10}

// TestBurst serves a burst on this machine: dispatcher, worker and SQS are parts
// of this process and talk HTTP, and a redis-server is another one. Functions are
// stubs. CPU is that of this process for each run, SQS and the senders included.
// With -cpuprofile it tells where it goes.
func TestBurst(t *testing.T) {
	if !*burst {
		return
	}
	s := realSite(t)
	set := plain
	set.near, set.noSide = true, *burstNoSide
	f := s.open(t, set)
	defer f.close()
	names := queue.NamesOf(f.prefix, partitions)
	requests, results := s.outer(t, f, names.Requests), s.outer(t, f, names.Results)
	tenants := equals(burstOf.tenants)
	for _, name := range tenants {
		f.known(t, name, warmSource)
	}
	began, used := time.Now(), cpu()
	go f.even(t.Context(), requests, tenants, burstOf, 0)
	took := take(t.Context(), results, burstOf.runs).Sub(began)
	fmt.Printf("a burst of %d runs: %.0f runs/s, %.3f ms of CPU a run, goal 5000 runs/s\n", burstOf.runs,
		float64(burstOf.runs)/took.Seconds(), float64((cpu()-used).Microseconds())/1000/float64(burstOf.runs))
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
