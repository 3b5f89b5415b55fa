package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

type explainCommand struct {
	operator
	config.Partitioned
	config.Redis
	config.Large
	config.Tenants
	ID     string `arg:"" name:"run" help:"The run: the id of its result event, as logs name it; or, with --tenant and --source, the id of its request."`
	Tenant string `help:"Tenant of the request whose id is given."`
	Source string `help:"Source of the request whose id is given."`
}

// Help is shown below the flags.
func (explainCommand) Help() string {
	return `Where a run is now, and what it waits for: a cap, the backlog, a build led by another run, a throttle, or a worker.

Examples:

  scriptfleet explain 4hhavceakbso5qpd7bo7oh7ul4
  scriptfleet explain 01JD…                                       # the id of an open or a recent run's request
  scriptfleet explain 01JD… --tenant acme --source /stories/phishing-triage`
}

// explanation is explain's output.
type explanation struct {
	Run       run.Key    `json:"run"`
	Tenant    string     `json:"tenant,omitempty"`
	Source    string     `json:"source,omitempty"`
	ID        string     `json:"id,omitempty"`
	State     string     `json:"state"`
	Since     time.Time  `json:"since,omitzero"`
	Worker    string     `json:"worker,omitempty"`
	Attempts  int        `json:"attempts"`
	Cancelled bool       `json:"cancelled,omitempty"`
	Status    run.Status `json:"status,omitempty"`
	Waiting   string     `json:"waiting_for,omitempty"`
	Text      string     `json:"text"`
}

func (c *explainCommand) Run(ctx context.Context) error {
	if (c.Tenant == "") != (c.Source == "") {
		return exitError{exitUsage, fmt.Errorf("a request is named by its id, --tenant and --source together")}
	}
	key := run.Key(c.ID)
	if c.Tenant != "" {
		key = run.KeyOf(c.Tenant, c.Source, c.ID)
	}
	fleet, err := c.openLedger(ctx, config.Fleet{Partitioned: c.Partitioned, Redis: c.Redis, Large: c.Large, Tenants: c.Tenants})
	if err != nil {
		return err
	}
	defer fleet.Close()
	record, err := c.find(ctx, fleet.Ledger, key)
	if err != nil {
		return err
	}
	e := explain(record)
	if record.State == ledger.Unknown && c.Tenant == "" {
		e.Text += " If this is the id of its request, add --tenant and --source."
	}
	stopped := fleet.Tenants().Limits(record.Entry.Tenant).MaxRunning == 0
	if record.State == ledger.Queued && record.Waiting == "" || stopped && (record.State == ledger.Queued || record.State == ledger.Claimed) {
		if e.Text, err = c.queued(ctx, fleet, record.Entry.Tenant); err != nil {
			return err
		}
	}
	if record.State != ledger.Published {
		differ, err := differences(ctx, fleet)
		if err != nil {
			return err
		}
		for _, d := range differ {
			if !d.Passing {
				e.Text += "\nThe fleet's settings differ: " + d.Text + "."
			}
		}
	}
	if c.JSON {
		err = printJSON(e)
	} else {
		e.print(os.Stdout)
	}
	if err == nil && record.State == ledger.Unknown {
		return exitError{exitFailed, nil}
	}
	return err
}

// find looks a run up by its id. If there is none, it looks for the open run, or
// else the recent one, whose request has that id.
func (c *explainCommand) find(ctx context.Context, l ledger.Ledger, key run.Key) (ledger.Record, error) {
	record, err := l.Lookup(ctx, key)
	if err != nil {
		return record, fmt.Errorf("look run %s up in the ledger: %w", key, err)
	}
	if record.State != ledger.Unknown || c.Tenant != "" {
		return record, nil
	}
	open, err := l.Open(ctx, searched)
	if err != nil {
		return record, fmt.Errorf("look for request %s in the ledger: %w", c.ID, err)
	}
	for _, r := range open {
		if r.Entry.ID == c.ID {
			return r, nil
		}
	}
	ended, err := recentRuns(ctx, l, "", 1, func(s ledger.Summary) bool { return s.ID == c.ID })
	if err != nil || len(ended) == 0 {
		return record, err
	}
	if record, err = l.Lookup(ctx, ended[0].Run); err != nil {
		return record, fmt.Errorf("look run %s up in the ledger: %w", ended[0].Run, err)
	}
	return record, nil
}

// alwaysWithin is how many open runs a tenant may have whatever the load is: see
// package dispatcher, backlog.go.
const alwaysWithin = 3

// searched is how many open runs are searched for a request's id.
const searched = 10_000

// queued explains why a run is still on a partition: its tenant is stopped, or
// over its max_backlog, or at its cap (workers put back runs far above a cap
// unread), or else no worker has received it yet.
func (c *explainCommand) queued(ctx context.Context, fleet *wire.Fleet, tenant string) (string, error) {
	open, err := fleet.Ledger.Backlogs(ctx, []string{tenant})
	if err != nil {
		return "", fmt.Errorf("read the backlog of tenant %s: %w", tenant, err)
	}
	limits := fleet.Tenants().Limits(tenant)
	switch {
	case limits.Paused:
		return fmt.Sprintf("Tenant %s is paused in the operator's settings, so its %d open runs wait. They go on after: scriptfleet tenants resume %s. After three and a half days they end as expired.", tenant, open[0], tenant), nil
	case limits.MaxRunning == 0:
		return fmt.Sprintf("Tenant %s is stopped: its max_running is 0 in the operator's settings, so its %d open runs wait. They go on when it is raised.", tenant, open[0]), nil
	case open[0] > limits.MaxBacklog:
		return fmt.Sprintf("It waits in the backlog of tenant %s: %d runs are open and its max_backlog is %d, so what is over waits on the side partition, which workers drain with what is left over.", tenant, open[0], limits.MaxBacklog), nil
	}
	running, err := fleet.Slots().InUse(ctx, slot.Scope("tenant", tenant))
	if err != nil {
		return "", fmt.Errorf("count the runs of tenant %s: %w", tenant, err)
	}
	if running >= limits.MaxRunning {
		return fmt.Sprintf("It waits for the cap of tenant %s: %d runs execute already, and %d of its runs are open.", tenant, limits.MaxRunning, open[0]), nil
	}
	text := fmt.Sprintf("It is on a partition, or put back to one, and waits for a worker (%d runs of tenant %s are open).", open[0], tenant)
	if open[0] > alwaysWithin {
		text += " While many runs of all tenants are open, dispatchers allow each tenant fewer than its max_backlog, so it may also be on the side partition, which workers drain with what is left over."
	}
	return text + " If that lasts, look whether workers run and are ready.", nil
}

// explain describes a record.
func explain(r ledger.Record) explanation {
	e := explanation{
		Run: r.Entry.Key, Tenant: r.Entry.Tenant, Source: r.Entry.Source, ID: r.Entry.ID, State: stateName(r.State), Since: r.Since,
		Worker: r.Owner, Attempts: r.Attempts, Cancelled: r.Cancelled, Status: r.Status, Waiting: r.Waiting,
	}
	switch {
	case r.State == ledger.Unknown:
		e.Text = "The ledger does not know this run: it was never accepted, was published longer ago than the ledger remembers, or Redis was flushed. A request that was only just sent may still wait for a dispatcher."
	case r.State == ledger.Published:
		e.Text = fmt.Sprintf("It ended as %s, and its result is on the results queue. Where its time went: scriptfleet runs show %s.", r.Status, r.Entry.Key)
	case r.State == ledger.Done:
		e.Text = fmt.Sprintf("It ended as %s; its result is written down and about to be published.", r.Status)
	case r.State == ledger.Invoking && r.ClaimLeft > 0:
		e.Text = fmt.Sprintf("Its script is executing: attempt %d.", r.Attempts)
	case r.Waiting != "":
		e.Text = fmt.Sprintf("It waits for: %s.", r.Waiting)
	case r.State == ledger.Claimed && r.ClaimLeft > 0:
		e.Text = "A worker has it, and it waits for its turn there."
	case r.State == ledger.Queued:
		e.Text = "It is on a partition, or put back to one, and waits for a worker."
	default:
		e.Text = "The worker that had it is gone; another takes it up when its delivery comes back, within half a minute."
	}
	if r.Cancelled && r.State != ledger.Published {
		e.Text += " It was cancelled."
	}
	return e
}

func (e explanation) print(w io.Writer) {
	fmt.Fprintf(w, "run      %s\n", printable(string(e.Run)))
	if e.Tenant != "" {
		fmt.Fprintf(w, "request  %s of %s, %s\n", printable(e.ID), printable(e.Tenant), printable(e.Source))
	}
	fmt.Fprintf(w, "state    %s", e.State)
	if !e.Since.IsZero() {
		fmt.Fprintf(w, ", for %s", time.Since(e.Since).Round(time.Second))
	}
	fmt.Fprintln(w)
	if e.Worker != "" {
		fmt.Fprintf(w, "worker   %s\n", printable(e.Worker))
	}
	if e.Attempts > 0 {
		fmt.Fprintf(w, "attempts %d\n", e.Attempts)
	}
	fmt.Fprintf(w, "\n%s\n", printableLines(e.Text))
}
