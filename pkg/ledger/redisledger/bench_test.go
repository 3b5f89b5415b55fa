package redisledger

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// BenchmarkWholeLife takes runs from Accept to Published. n runs share each
// call that can be shared. It reports runs a second, round trips of each run,
// and Redis' CPU time for each run.
func BenchmarkWholeLife(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint("shared by ", n), func(b *testing.B) {
			server := redistest.Start(b)
			client := redistest.Connect(b, server.Addr)
			l := New(Config{}, client)
			live(b, l, "warm", 1)
			before := serverCPU(b, client)
			var batches atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					live(b, l, fmt.Sprint(batches.Add(1)), n)
				}
			})
			runs := float64(n * b.N)
			b.ReportMetric(runs/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(4/float64(n), "trips/run")
			b.ReportMetric((serverCPU(b, client)-before).Seconds()*1e6/runs, "redis-µs/run")
		})
	}
}

// live takes n runs from Accept to Published.
func live(b testing.TB, l *Ledger, name string, n int) {
	es, cs := make([]ledger.Entry, n), make([]ledger.Claim, n)
	fs, keys := make([]ledger.Finish, n), make([]run.Key, n)
	for i := range es {
		es[i] = ledger.Entry{Key: run.Key(fmt.Sprintf("%012s-%012d-", name, i)), Tenant: "acme", Source: "/stories/phishing-triage",
			ID: "01JD0000000000000000000000", Action: "extract_iocs", Script: "abcdefghijklmnopqrstuvwxyz"}
		cs[i], keys[i] = ledger.Claim{Entry: es[i], Owner: name, Begin: true}, es[i].Key
	}
	_, err := l.Accept(b.Context(), es)
	check(b, err)
	answers, err := l.Claim(b.Context(), cs, time.Minute)
	check(b, err)
	for i, a := range answers {
		fs[i] = ledger.Finish{Hold: a.Hold, Status: run.Succeeded, Result: make([]byte, 1000), Summary: summarized(a.Hold)}
	}
	lost, err := l.Finish(b.Context(), fs)
	check(b, err)
	for _, err := range lost {
		check(b, err)
	}
	check(b, l.Published(b.Context(), keys))
}

// summarized is a summary like most.
func summarized(h ledger.Hold) *ledger.Summary {
	s := ledger.SummaryOf(h, run.Result{Time: time.Now(), Data: run.ResultData{
		Status: run.Succeeded, Attempt: 1, Build: run.BuildInfo{Outcome: run.BuildReused},
		Function: &run.FunctionInfo{ScriptHash: "abcdefghijklmnopqrstuvwxyz", Runtime: "python3.13"},
	}})
	return &s
}

func check(b testing.TB, err error) {
	if err != nil {
		b.Error(err)
	}
}

func serverCPU(b *testing.B, c *redis.Client) (used time.Duration) {
	b.Helper()
	for line := range strings.Lines(c.Info(b.Context(), "cpu").Val()) {
		for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			if digits, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok {
				s, err := strconv.ParseFloat(digits, 64)
				check(b, err)
				used += time.Duration(s * float64(time.Second))
			}
		}
	}
	return used
}
