package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/scriptfleet/scriptfleet/cmd/internal/examples"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// play is the demo's batch and its results.
type play struct {
	acts     []*act
	byTenant map[string]*act
	sent     int
	received int
	repeated int // number of repeated results
	seen     map[run.Key]bool
}

// act is the batch of one tenant.
type act struct {
	tenant, story, action string
	script, requirements  string
	input                 func(i int) any
	timeout, runs         int
	want                  run.Status

	results []run.Result
}

func newPlay() *play {
	same := func(v any) func(int) any { return func(int) any { return v } }
	p := &play{byTenant: map[string]*act{}, seen: map[run.Key]bool{}, acts: []*act{
		{
			tenant: "acme", story: "phishing-triage", action: "extract_iocs", script: examples.Script("extract_iocs"), runs: 3, want: run.Succeeded,
			input: same(map[string]string{"text": "mail from 203.0.113.7 carried d41d8cd98f00b204e9800998ecf8427e"}),
		},
		{
			tenant: "globex", story: "weekly-report", action: "slug_titles", script: examples.Script("slug_titles"), requirements: "python-slugify==8.0.4\n",
			runs: 2, timeout: 20, want: run.Succeeded,
			input: same(map[string][]string{"titles": {"Überblick: Woche 48", "Café & Crème"}}),
		},
		{
			tenant: "initech", story: "ticket-sync", action: "close_ticket", script: examples.Script("close_ticket"), runs: 1, want: run.Failed,
			input: same(map[string]any{"ticket": map[string]string{"id": "T-17"}}),
		},
		{
			tenant: "umbrella", story: "scan-hosts", action: "wait_for_scan", script: examples.Script("wait_for_scan"), runs: 1, timeout: 2, want: run.TimedOut,
			input: same(map[string]int{"seconds": 600}),
		},
		{
			tenant: "hooli", story: "alert-storm", action: "score_alert", script: examples.Script("score_alert"), runs: 50, want: run.Succeeded,
			input: func(i int) any { return map[string]any{"alert": i, "title": fmt.Sprint("login from host ", i)} },
		},
	}}
	for _, a := range p.acts {
		p.byTenant[a.tenant] = a
		p.sent += a.runs
	}
	return p
}

func (p *play) requests() []run.Request {
	var rs []run.Request
	for _, a := range p.acts {
		for i := range a.runs {
			input, _ := json.Marshal(a.input(i)) // a map of plain values always encodes
			rs = append(rs, run.Request{
				SpecVersion: run.SpecVersion, Type: run.TypeRequested,
				Source: "/stories/" + a.story, ID: fmt.Sprintf("%s-%d", a.action, i+1), Tenant: a.tenant,
				Data: run.RequestData{
					Action: a.action, Script: a.script, Requirements: a.requirements, Input: input, TimeoutSeconds: a.timeout,
				},
			})
		}
	}
	return rs
}

func (p *play) take(r run.Result) {
	a := p.byTenant[r.Tenant]
	if a == nil {
		return
	}
	if p.seen[r.ID] {
		p.repeated++
		return
	}
	p.seen[r.ID] = true
	p.received++
	a.results = append(a.results, r)
}

func (p *play) complete() bool { return p.received == p.sent }

func (p *play) progress(line *progress.Line) {
	var waiting []string
	for _, a := range p.acts {
		if n := a.runs - len(a.results); n > 0 {
			waiting = append(waiting, fmt.Sprintf("%s %d", a.tenant, n))
		}
	}
	line.Say("%d of %d results; waiting for %s", p.received, p.sent, strings.Join(waiting, ", "))
}

func (p *play) printTable(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TENANT\tACTION\tRUN\tSTATUS\tBUILD\tTOTAL\tRESULT")
	for _, a := range p.acts {
		slices.SortFunc(a.results, func(x, y run.Result) int { return strings.Compare(x.Subject, y.Subject) })
		if len(a.results) > 5 {
			a.printMany(table)
			continue
		}
		for i, r := range a.results {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%d ms\t%s\n", a.tenant, a.action, i+1, r.Data.Status,
				r.Data.Build.Outcome, r.Data.Timings.Total, said(r))
		}
	}
	_ = table.Flush()
}

// printMany prints a burst as one row.
func (a *act) printMany(w io.Writer) {
	totals := make([]int64, len(a.results))
	for i, r := range a.results {
		totals[i] = r.Data.Timings.Total
	}
	slices.Sort(totals)
	fmt.Fprintf(w, "%s\t%s\t1-%d\t%s\t%s\t%d-%d ms\t%s, …\n", a.tenant, a.action, a.runs,
		counts(a.results, func(r run.Result) string { return string(r.Data.Status) }),
		counts(a.results, func(r run.Result) string { return string(r.Data.Build.Outcome) }),
		totals[0], totals[len(totals)-1], said(a.results[0]))
}

// counts are the values of f, each with its count, the most frequent first.
func counts(rs []run.Result, f func(run.Result) string) string {
	n := map[string]int{}
	var names []string
	for _, r := range rs {
		name := f(r)
		if n[name] == 0 {
			names = append(names, name)
		}
		n[name]++
	}
	slices.SortFunc(names, func(a, b string) int { return n[b] - n[a] })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", n[name], name)
	}
	return strings.Join(names, ", ")
}

// said is the line that an author would look at first.
func said(r run.Result) string {
	text := string(r.Data.Output)
	if e := r.Data.Error; e != nil {
		text = fmt.Sprintf("%s, for the %s: %s", e.Type, e.Owner, e.Message)
	}
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > 76 {
		runes = append(runes[:75], '…')
	}
	return string(runes)
}

func (p *play) builds() (n int) {
	for _, a := range p.acts {
		n += a.builds()
	}
	return n
}

func (a *act) builds() (n int) {
	for _, r := range a.results {
		if r.Data.Build.Outcome == run.BuildBuilt {
			n++
		}
	}
	return n
}

func (p *play) printSummary(w io.Writer) {
	var all []run.Result
	for _, a := range p.acts {
		all = append(all, a.results...)
	}
	fmt.Fprintf(w, "\n%d requests, %d results: %s.\n", p.sent, p.received,
		counts(all, func(r run.Result) string { return string(r.Data.Status) }))
	fmt.Fprintf(w, "%d scripts, %d builds: the burst of %d runs of one new script made %d.\n",
		len(p.acts), p.builds(), p.byTenant["hooli"].runs, p.byTenant["hooli"].builds())
	fmt.Fprintf(w, "Nothing lost, %d repeated. initech and umbrella were to fail and to time out.\n", p.repeated)
}

// check fails unless every run ended as expected and every script was built
// once.
func (p *play) check() error {
	for _, a := range p.acts {
		for _, r := range a.results {
			if !a.expected(r) {
				return fmt.Errorf("run %s of %s ended as %s, and should have as %s", r.Subject, a.tenant, r.Data.Status, a.want)
			}
		}
		if a.builds() != 1 {
			return fmt.Errorf("script %s of %s was built %d times", a.action, a.tenant, a.builds())
		}
	}
	return nil
}
