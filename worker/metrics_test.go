package worker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

func TestMetricsTellWhatBecameOfRuns(t *testing.T) {
	with(t, worker.Config{MaxParked: 7}, func(b *bench) {
		b.failing(1, memfunction.Behaviour{Fault: function.Throttled})
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		defer b.builds.hold("slow")()
		b.send(ask("parked", script("slow")))
		settle()
		names := []string{
			"scriptfleet_worker_received_total", "scriptfleet_worker_invocations_started_total", "scriptfleet_worker_invocations_refused_total",
			"scriptfleet_worker_settled_total", "scriptfleet_worker_parked", "scriptfleet_worker_parked_limit", "scriptfleet_worker_active",
			"scriptfleet_worker_turns_in_use",
		}
		want := `
# HELP scriptfleet_worker_active Deliveries in hand that are not parked.
# TYPE scriptfleet_worker_active gauge
scriptfleet_worker_active 0
# HELP scriptfleet_worker_invocations_refused_total Invocations that reached no function, by class of error.
# TYPE scriptfleet_worker_invocations_refused_total counter
scriptfleet_worker_invocations_refused_total{class="ambiguous"} 0
scriptfleet_worker_invocations_refused_total{class="bad_signature"} 0
scriptfleet_worker_invocations_refused_total{class="denied"} 0
scriptfleet_worker_invocations_refused_total{class="not_found"} 0
scriptfleet_worker_invocations_refused_total{class="not_ready"} 0
scriptfleet_worker_invocations_refused_total{class="throttled"} 1
scriptfleet_worker_invocations_refused_total{class="unsent"} 0
# HELP scriptfleet_worker_invocations_started_total Invocations that were begun.
# TYPE scriptfleet_worker_invocations_started_total counter
scriptfleet_worker_invocations_started_total 2
# HELP scriptfleet_worker_parked Deliveries in hand that wait for a build.
# TYPE scriptfleet_worker_parked gauge
scriptfleet_worker_parked 1
# HELP scriptfleet_worker_parked_limit Deliveries that may wait for a build; those above are put back.
# TYPE scriptfleet_worker_parked_limit gauge
scriptfleet_worker_parked_limit 7
# HELP scriptfleet_worker_received_total Deliveries received from the partitions.
# TYPE scriptfleet_worker_received_total counter
scriptfleet_worker_received_total 3
# HELP scriptfleet_worker_settled_total Deliveries that were settled, by verdict.
# TYPE scriptfleet_worker_settled_total counter
scriptfleet_worker_settled_total{verdict="answered"} 1
scriptfleet_worker_settled_total{verdict="bury"} 0
scriptfleet_worker_settled_total{verdict="leave"} 0
scriptfleet_worker_settled_total{verdict="put_back"} 1
scriptfleet_worker_settled_total{verdict="remove"} 0
# HELP scriptfleet_worker_turns_in_use Runs that execute.
# TYPE scriptfleet_worker_turns_in_use gauge
scriptfleet_worker_turns_in_use 0
`
		if err := testutil.GatherAndCompare(b.metrics, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	})
}

// metric returns the lines of one metric.
func metric(t *testing.T, b *bench, name string) (lines string) {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				lines += m.String() + "\n"
			}
		}
	}
	return lines
}

func TestMetricsTellWhatTenantsUseAndWhatLambdaBillsAndThrottles(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.behave(func(nth int) memfunction.Behaviour {
			if nth == 1 {
				return memfunction.Behaviour{Fault: function.Throttled, Reason: "TooManyRequestsException/ConcurrentInvocationLimitExceeded"}
			}
			return memfunction.Behaviour{Duration: 4 * time.Second}
		})
		b.send(ask("r", func(r *run.Request) {
			r.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		}))
		b.want("r", run.Succeeded, 1)
		settle()
		for name, want := range map[string]string{
			"scriptfleet_worker_builds_total":              `label:{name:"outcome" value:"reused"} counter:{value:1`,
			"scriptfleet_worker_throttles_total":           `value:"ConcurrentInvocationLimitExceeded"} counter:{value:1`,
			"scriptfleet_worker_billed_gb_seconds_total":   `value:"x86_64"} counter:{value:1 `,
			"scriptfleet_worker_tenant_results_total":      `label:{name:"status" value:"succeeded"} label:{name:"tenant" value:"acme"} counter:{value:1`,
			"scriptfleet_worker_tenant_used_seconds_total": `value:"acme"} counter:{value:4`,
			"scriptfleet_worker_tenant_runs":               `label:{name:"state" value:"running"} label:{name:"tenant" value:"acme"} gauge:{value:0`,
			"scriptfleet_worker_run_seconds":               `label:{name:"trace_id" value:"4bf92f3577b34da6a3ce929d0e0e4736"}`,
		} {
			// The text of a message has one space or two.
			if got := strings.ReplaceAll(metric(t, b, name), "  ", " "); !strings.Contains(got, want) {
				t.Errorf("%s lacks %s:\n%s", name, want, got)
			}
		}
	})
}

func TestOnlyARecordedTraceIsAnExemplar(t *testing.T) {
	for _, traceparent := range []string{
		"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
		"00-4bf92f-00f067aa0ba902b7-01", "00-zzf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	} {
		with(t, worker.Config{}, func(b *bench) {
			b.send(ask("r", func(r *run.Request) { r.Traceparent = traceparent }))
			b.want("r", run.Succeeded, 1)
			settle()
			got := metric(t, b, "scriptfleet_worker_run_seconds")
			if strings.Contains(got, "trace_id") {
				t.Errorf("%q: %s", traceparent, got)
			}
			if !strings.Contains(got, "sample_count:1 ") {
				t.Errorf("one run counts as %s", got)
			}
		})
	}
}

// A throttled invocation is no start, and the time of the script is no delay.
func TestMetricsTellHowLongRunsWaitByTheLoadOfTheirTenant(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.load = run.Quiet
		b.behave(func(nth int) memfunction.Behaviour {
			if nth == 1 {
				return memfunction.Behaviour{Fault: function.Throttled}
			}
			return memfunction.Behaviour{Duration: 20 * time.Second}
		})
		var refusedSince time.Time
		b.resultFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpSend && refusedSince.IsZero() {
				refusedSince = time.Now()
			}
			if op == memqueue.OpSend && time.Since(refusedSince) < 4*time.Second {
				return errors.New("away")
			}
			return nil
		})
		sent := time.Now()
		b.send(ask("r"))
		total := time.Duration(b.want("r", run.Succeeded, 1).Data.Timings.Total) * time.Millisecond
		out := time.Since(sent)
		settle()
		b.seconds("scriptfleet_worker_start_delay_seconds", run.Quiet, 1, total-20*time.Second)
		b.seconds("scriptfleet_worker_delivery_seconds", run.Quiet, 1, out-20*time.Second)

		b.load = run.Busy
		b.behave(func(int) memfunction.Behaviour { return memfunction.Behaviour{} })
		b.send(ask("late", expiring(-time.Second)))
		late := b.want("late", run.Expired, 1)
		settle()
		b.seconds("scriptfleet_worker_start_delay_seconds", run.Busy, 1, time.Duration(late.Data.Timings.Total)*time.Millisecond)
		b.seconds("scriptfleet_worker_start_delay_seconds", run.Quiet, 1, total-20*time.Second)
	})
}

// seconds compares a histogram's count and sum, in ms.
func (b *bench) seconds(name string, load run.Load, count uint64, sum time.Duration) {
	b.Helper()
	for _, m := range b.family(name) {
		if m.GetLabel()[0].GetValue() != string(load) {
			continue
		}
		h := m.GetHistogram()
		if got := time.Duration(h.GetSampleSum() * float64(time.Second)).Round(time.Millisecond); h.GetSampleCount() != count || got != sum.Round(time.Millisecond) {
			b.Errorf("%s of %s runs has %d of %s together, want %d of %s", name, load, h.GetSampleCount(), got, count, sum)
		}
		return
	}
	b.Errorf("%s has no %s runs", name, load)
}

// counter is the value of a counter without labels.
func (b *bench) counter(name string) float64 {
	b.Helper()
	return b.family(name)[0].GetCounter().GetValue()
}

func (b *bench) family(name string) []*dto.Metric {
	b.Helper()
	all, err := b.metrics.Gather()
	at := slices.IndexFunc(all, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	if err != nil || at < 0 {
		b.Fatalf("there is no %s: %v", name, err)
	}
	return all[at].GetMetric()
}
