package look

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// Explanation is where a run is, and what it waits for.
type Explanation struct {
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

// Asked names a run: by its key, or by the id of its request, with the tenant and
// the source or without both.
type Asked struct{ ID, Tenant, Source string }

// Explain tells where a run is. The state of one that is not known is unknown.
func Explain(ctx context.Context, fleet *wire.Fleet, asked Asked) (Explanation, error) {
	record, err := find(ctx, fleet.Ledger, asked)
	if err != nil {
		return Explanation{}, err
	}
	e, err := explainRecord(ctx, fleet, record)
	if record.State == ledger.Unknown && asked.Tenant == "" {
		e.Text += " If this is the id of its request, add --tenant and --source."
	}
	return e, err
}

// ExplainKey is Explain of a run by its key alone: it costs a few round trips,
// and searches nothing.
func ExplainKey(ctx context.Context, fleet *wire.Fleet, key run.Key) (Explanation, error) {
	record, err := fleet.Ledger.Lookup(ctx, key)
	if err != nil {
		return Explanation{}, err
	}
	return explainRecord(ctx, fleet, record)
}

func explainRecord(ctx context.Context, fleet *wire.Fleet, record ledger.Record) (e Explanation, err error) {
	e = explain(record)
	stopped := fleet.Tenants().Limits(record.Entry.Tenant).MaxRunning == 0
	if record.State == ledger.Queued && record.Waiting == "" || stopped && (record.State == ledger.Queued || record.State == ledger.Claimed) {
		if e.Text, err = queued(ctx, fleet, record.Entry.Tenant); err != nil {
			return e, err
		}
	}
	if record.State == ledger.Published {
		return e, nil
	}
	differ, err := Differences(ctx, fleet)
	for _, d := range differ {
		if !d.Passing {
			e.Text += "\nThe fleet's settings differ: " + d.Text + "."
		}
	}
	return e, err
}

// find looks a run up by its id. If there is none, it looks for the open run, or
// else the recent one, whose request has that id.
func find(ctx context.Context, l ledger.Ledger, asked Asked) (ledger.Record, error) {
	key := run.Key(asked.ID)
	if asked.Tenant != "" {
		key = run.KeyOf(asked.Tenant, asked.Source, asked.ID)
	}
	record, err := l.Lookup(ctx, key)
	if err != nil {
		return record, fmt.Errorf("look run %s up in the ledger: %w", key, err)
	}
	if record.State != ledger.Unknown || asked.Tenant != "" {
		return record, nil
	}
	open, err := l.Open(ctx, searched)
	if err != nil {
		return record, fmt.Errorf("look for request %s in the ledger: %w", asked.ID, err)
	}
	for _, r := range open {
		if r.Entry.ID == asked.ID {
			return r, nil
		}
	}
	ended, err := RecentRuns(ctx, l, "", 1, func(s ledger.Summary) bool { return s.ID == asked.ID })
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
func queued(ctx context.Context, fleet *wire.Fleet, tenant string) (string, error) {
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
	running, err := fleet.Slots().InUse(ctx, []string{slot.Scope("tenant", tenant)})
	if err != nil {
		return "", fmt.Errorf("count the runs of tenant %s: %w", tenant, err)
	}
	if running[0] >= limits.MaxRunning {
		return fmt.Sprintf("It waits for the cap of tenant %s: %d runs execute already, and %d of its runs are open.", tenant, limits.MaxRunning, open[0]), nil
	}
	text := fmt.Sprintf("It is on a partition, or put back to one, and waits for a worker (%d runs of tenant %s are open).", open[0], tenant)
	if open[0] > alwaysWithin {
		text += " While many runs of all tenants are open, dispatchers allow each tenant fewer than its max_backlog, so it may also be on the side partition, which workers drain with what is left over."
	}
	return text + " If that lasts, look whether workers run and are ready.", nil
}

// explain describes a record.
func explain(r ledger.Record) Explanation {
	e := Explanation{
		Run: r.Entry.Key, Tenant: r.Entry.Tenant, Source: r.Entry.Source, ID: r.Entry.ID, State: StateName(r.State), Since: r.Since,
		Worker: r.Owner, Attempts: r.Attempts, Cancelled: r.Cancelled, Status: r.Status, Waiting: r.Waiting,
	}
	switch {
	case r.State == ledger.Unknown:
		e.Text = "The ledger does not know this run: it was never accepted, was published longer ago than the ledger remembers, or Redis was flushed. A request that was only just sent may still wait for a dispatcher."
	case r.State == ledger.Published:
		e.Text = fmt.Sprintf("It ended as %s, and its result was sent to the results queue. Where its time went: scriptfleet runs show %s.", r.Status, r.Entry.Key)
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
