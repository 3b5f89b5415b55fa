package replay

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/escape"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Print prints the report for people.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	r.printCounts(&b)
	r.printLatency(&b)
	r.printBuilds(&b)
	r.printTenants(&b)
	r.printBooks(&b)
	if r.Compared != nil {
		r.Compared.write(&b)
	}
	for i, v := range r.Objectives {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "objective %s\n", v)
	}
	_, err := io.WriteString(w, escape.Lines(b.String()))
	return err
}

func (r *Report) printCounts(w io.Writer) {
	took := time.Duration(r.Seconds * float64(time.Second)).Round(10 * time.Millisecond)
	fmt.Fprintf(w, "replay %s: %s requests of %d tenants, %s results in %s\n\n", escape.Text(r.Label), grouped(r.Requests), len(r.Tenants), grouped(r.Results), took)
	table := newTable(w)
	fmt.Fprintf(table, "sent\t%s, %.1f/s; late by p50 %s, p99 %s, at most %s\n", grouped(r.Sent), r.SendRate,
		show(r.Lateness.P50), show(r.Lateness.P99), show(r.Lateness.Max))
	var statuses []string
	for _, s := range run.Statuses {
		if n := r.ByStatus[s]; n > 0 {
			statuses = append(statuses, fmt.Sprintf("%s %s", grouped(n), s))
		}
	}
	fmt.Fprintf(table, "results\t%s, %.1f/s: %s\n", grouped(r.Results), r.ResultRate, orNone(statuses))
	_ = table.Flush()
}

func (r *Report) printLatency(w io.Writer) {
	fmt.Fprintln(w, "\nLatency in ms, from when a request was due to its result; and where it went")
	table := newTable(w)
	fmt.Fprintln(table, "\tp50\tp90\tp99\tp99.9\tmax\tmean\t")
	row := func(name string, p Percentiles) {
		share := ""
		if r.Latency.Mean > 0 && name != "latency" {
			share = fmt.Sprintf("%.0f %%", 100*p.Mean/r.Latency.Mean)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name,
			show(p.P50), show(p.P90), show(p.P99), show(p.P999), show(p.Max), show(p.Mean), share)
	}
	row("latency", r.Latency)
	for _, s := range stages {
		if s.name != stageTotal {
			row("  "+s.name, r.Stages[s.name])
		}
	}
	row("  "+stageTransit, r.Stages[stageTransit])
	_ = table.Flush()
}

func (r *Report) printBuilds(w io.Writer) {
	var outcomes []string
	for _, o := range run.BuildOutcomes {
		if n := r.Builds.ByOutcome[o]; n > 0 {
			outcomes = append(outcomes, fmt.Sprintf("%s %s", grouped(n), strings.ReplaceAll(string(o), "_", " ")))
		}
	}
	ahead := ""
	if r.Builds.Ahead > 0 {
		ahead = fmt.Sprintf(" (%s ahead, by script.saved)", grouped(r.Builds.Ahead))
	}
	fmt.Fprintf(w, "\n%s scripts ran, %s builds%s, %s cold starts (runs by build: %s)\n",
		grouped(r.Builds.Scripts), grouped(r.Builds.Built), ahead, grouped(r.ColdStarts), orNone(outcomes))
	for i, s := range r.Builds.Again {
		if i == shown {
			fmt.Fprintf(w, "  … and %d more\n", len(r.Builds.Again)-shown)
			break
		}
		fmt.Fprintf(w, "  built %d times: script %s of %s\n", s.Built, s.Hash, escape.Text(s.Tenant))
	}
}

// shown is the number of rows of a list before it is cut.
const shown = 10

// printTenants prints the busiest and the quietest tenants, to show whether the
// former make the latter wait.
func (r *Report) printTenants(w io.Writer) {
	if len(r.Tenants) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWaits of tenants in ms before their scripts ran, the busiest first")
	table := newTable(w)
	fmt.Fprintln(table, "tenant\truns\tresults\tbuilt\twait p50\tp99\tmax\tlatency p50\tp99")
	for i, t := range r.Tenants {
		if hidden := len(r.Tenants) - shown; hidden > 0 && i >= shown/2 && i < shown/2+hidden {
			if i == shown/2 {
				fmt.Fprintf(table, "… %d more%s\n", hidden, strings.Repeat("\t", 8))
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", escape.Text(t.Tenant), grouped(t.Runs), grouped(t.Results), t.Built,
			show(t.WaitP50), show(t.WaitP99), show(t.WaitMax), show(t.LatencyP50), show(t.LatencyP99))
	}
	_ = table.Flush()
}

func (r *Report) printBooks(w io.Writer) {
	fmt.Fprintf(w, "\n%s lost, %s doubled, %s sends failed; %s repeated, %s unexpected, %s with more than one attempt\n",
		grouped(r.Lost.Count), grouped(r.Doubled.Count), grouped(r.SendErrors),
		grouped(r.Repeated), grouped(r.Unexpected.Count), grouped(r.Reruns.Count))
	if r.Interrupted {
		fmt.Fprintf(w, "%s in flight when the replay was interrupted\n", grouped(r.InFlight.Count))
	}
	if r.Before > 0 {
		fmt.Fprintf(w, "%s answered before this replay, under the ids that they kept\n", grouped(r.Before))
	}
	if r.Unanswerable > 0 {
		fmt.Fprintf(w, "%s requests named no run: they are dead letters (scriptfleet dlq list --requests)\n", grouped(r.Unanswerable))
	}
	if r.Others > 0 {
		fmt.Fprintf(w, "%s times a result for another consumer was received and put back, which may have delayed it\n", grouped(r.Others))
	}
	if r.ReceiveErrors > 0 {
		fmt.Fprintf(w, "Receiving failed %s times, at last with: %s\n", grouped(r.ReceiveErrors), escape.Text(r.ReceiveError))
	}
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// show formats milliseconds with the digits that matter.
func show(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f", ms)
	}
	return grouped(int(ms + 0.5))
}

func orNone(parts []string) string {
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
