package worker_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
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
