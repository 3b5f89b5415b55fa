package replay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Report is the result of a replay. Times are in milliseconds, rates per
// second. Lists of runs have the first hundred; the count next to a list is
// complete.
type Report struct {
	Label     string    `json:"label"`
	StartedAt time.Time `json:"started_at"`
	Seconds   float64   `json:"seconds"` // from the beginning to the last send or result
	// Interrupted is set if the replay ended early: runs without a result are
	// then in flight, not lost.
	Interrupted bool `json:"interrupted"`

	Requests   int `json:"requests"`
	Runs       int `json:"runs"` // less than sent where requests repeat each other
	Sent       int `json:"sent"`
	Unsent     int `json:"unsent"` // given up when the replay was interrupted
	SendErrors int `json:"send_errors"`
	// Unanswerable are requests that named no run; the fleet buried them.
	Unanswerable int    `json:"unanswerable"`
	SendError    string `json:"send_error,omitempty"` // the first

	Results       int                `json:"results"`
	ByStatus      map[run.Status]int `json:"by_status"`
	ReceiveErrors int                `json:"receive_errors"`
	ReceiveError  string             `json:"receive_error,omitempty"` // the last
	Others        int                `json:"others_put_back"`         // receipts of results of others

	SendRate   float64     `json:"send_rate"`
	ResultRate float64     `json:"result_rate"`
	Lateness   Percentiles `json:"lateness_ms"`  // from due to the call that sends
	SendCalls  Percentiles `json:"send_call_ms"` // of up to ten requests

	Latency Percentiles            `json:"latency_ms"` // from due to received
	Stages  map[string]Percentiles `json:"stages_ms"`
	// Distributions are the percentiles of the latency and of each stage.
	Distributions map[string][]Mark `json:"distributions_ms"`
	Timeline      Timeline          `json:"timeline"`

	Builds     BuildReport    `json:"builds"`
	ColdStarts int            `json:"cold_starts"`
	Tenants    []TenantReport `json:"tenants"` // the busiest first

	Lost       RunList `json:"lost"`
	InFlight   RunList `json:"in_flight"`       // when the replay was interrupted
	Before     int     `json:"answered_before"` // this replay began
	Doubled    RunList `json:"doubled"`
	Unexpected RunList `json:"unexpected"`
	Reruns     RunList `json:"attempts_over_one"`
	Repeated   int     `json:"repeated"`

	Objectives []Verdict   `json:"objectives,omitempty"`
	Compared   *Comparison `json:"compared,omitempty"`

	OK      bool   `json:"ok"`
	Failure string `json:"failure,omitempty"`
}

// BuildReport reports the builds in the results.
type BuildReport struct {
	Scripts   int                      `json:"scripts"` // that ran
	Built     int                      `json:"built"`
	Ahead     int                      `json:"built_ahead"` // of Built, those that script.saved asked for
	Expected  *int                     `json:"expected,omitempty"`
	ByOutcome map[run.BuildOutcome]int `json:"by_outcome"`
	// Again are the scripts that were built more than once.
	Again []ScriptReport `json:"more_than_once"`
}

// ScriptReport is a script and how often it was built.
type ScriptReport struct {
	Hash   run.ScriptHash `json:"script_hash"`
	Tenant string         `json:"tenant"`
	Built  int            `json:"built"`
}

// TenantReport reports one tenant. A wait is everything before the script's own
// time: intake, queue, build_wait, build and init.
type TenantReport struct {
	Tenant     string  `json:"tenant"`
	Runs       int     `json:"runs"`
	Results    int     `json:"results"`
	Built      int     `json:"built"`
	WaitP50    float64 `json:"wait_p50_ms"`
	WaitP99    float64 `json:"wait_p99_ms"`
	WaitMax    float64 `json:"wait_max_ms"`
	LatencyP50 float64 `json:"latency_p50_ms"`
	LatencyP99 float64 `json:"latency_p99_ms"`
	// Stages are those on which its runs spent time.
	Stages map[string]Brief `json:"stages_ms"`
}

// RunList counts runs, and names the first of them.
type RunList struct {
	Count int       `json:"count"`
	Runs  []run.Key `json:"runs"`
}

func (b *Books) report(interrupted bool) Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.figures
	r := Report{
		Label: b.naming.Label, StartedAt: b.start.UTC(), Seconds: rounded(later(b.lastFirst, b.lastSend).Sub(b.start).Seconds()), Interrupted: interrupted,
		Requests: b.requests, Runs: len(b.runs), Sent: b.sent, Unsent: b.requests - b.sent - b.sendErrors,
		SendErrors: b.sendErrors, SendError: text(b.firstSendError),
		Results: b.results, ByStatus: f.statuses, Others: b.others,
		ReceiveErrors: b.receiveErrors, ReceiveError: text(b.lastReceiveError),
		SendRate: rate(b.sent, b.lastSend.Sub(b.start)), ResultRate: rate(b.results, b.lastFirst.Sub(b.start)),
		Lateness: f.lateness.percentiles(), SendCalls: f.calls.percentiles(),
		Latency: f.latency.percentiles(), Stages: map[string]Percentiles{},
		Builds: f.buildReport(), ColdStarts: f.coldStarts, Tenants: f.tenantReports(),
		Distributions: map[string][]Mark{stageLatency: f.latency.distribution()}, Timeline: f.timeline.report(),
		Lost: RunList{Runs: []run.Key{}}, InFlight: RunList{Runs: []run.Key{}},
		Before: b.before, Unanswerable: b.unanswerable,
		Doubled:    RunList{b.doubled, list(b.doubledRuns)},
		Unexpected: RunList{b.unexpected, list(b.unexpectedRuns)},
		Reruns:     RunList{f.attempted, list(b.reruns)},
		Repeated:   b.repeated,
	}
	for name, h := range f.stages {
		r.Stages[name], r.Distributions[name] = h.percentiles(), h.distribution()
	}
	if interrupted {
		r.InFlight = b.unanswered()
	} else {
		r.Lost = b.unanswered()
	}
	r.judge()
	return r
}

func (b *Books) unanswered() RunList {
	l := RunList{Runs: []run.Key{}}
	for _, e := range b.order {
		if e.pending() {
			l.Count++
			note(&l.Runs, e.key)
		}
	}
	return l
}

func (f *figures) buildReport() BuildReport {
	r := BuildReport{
		Scripts: len(f.scripts), Built: f.outcomes[run.BuildBuilt], Ahead: f.ahead, ByOutcome: f.outcomes, Again: []ScriptReport{},
	}
	for _, hash := range slices.Sorted(maps.Keys(f.scripts)) {
		if s := f.scripts[hash]; s.built > 1 {
			r.Again = append(r.Again, ScriptReport{hash, s.tenant, s.built})
		}
	}
	return r
}

func (f *figures) tenantReports() []TenantReport {
	reports := make([]TenantReport, 0, len(f.tenants))
	for name, t := range f.tenants {
		waits, latencies := sorted(t.waits), sorted(t.latencies)
		reports = append(reports, TenantReport{
			Tenant: name, Runs: t.Runs, Results: t.Results, Built: t.Built,
			WaitP50: percentile(waits, 50), WaitP99: percentile(waits, 99), WaitMax: percentile(waits, 100),
			LatencyP50: percentile(latencies, 50), LatencyP99: percentile(latencies, 99),
			Stages: t.stageReports(),
		})
	}
	slices.SortFunc(reports, func(a, b TenantReport) int {
		return cmp.Or(cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Tenant, b.Tenant))
	})
	return reports
}

func (t *tenant) stageReports() map[string]Brief {
	all := make(map[string]Brief, len(t.stages))
	for name, values := range t.stages {
		spent := make([]float64, t.Results) // the runs that spent none have 0
		sum := 0.0
		for i, n := range values {
			spent[i] = float64(n)
			sum += spent[i]
		}
		slices.Sort(spent)
		all[name] = Brief{
			Mean: rounded(sum / float64(t.Results)), P50: percentile(spent, 50), P99: percentile(spent, 99), Max: percentile(spent, 100),
		}
	}
	return all
}

func rate(n int, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return rounded(float64(n) / over.Seconds())
}

func list(keys []run.Key) []run.Key { return append([]run.Key{}, keys...) }

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
