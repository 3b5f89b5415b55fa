package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
)

type checkCommand struct {
	operator
	config.Partitioned
	config.Redis
	config.Large
	Settle time.Duration `default:"20s" min:"0s" max:"1h" help:"How long to look again while the books do not balance: the queues' counts lag."`
	Idle   bool          `help:"Also fail while runs are in flight."`
}

// Help is shown below the flags.
func (checkCommand) Help() string {
	return `The books: every accepted run has a result, is in flight, or is a dead letter. Exits 1 if runs are lost: accepted, without a result, and on no queue; if Redis has evicted keys, whose runs are then missing from the books; and if processes of the fleet were started with settings that do not fit together, or with others than this command.

Examples:

  scriptfleet check
  scriptfleet check --idle --settle 60s  # after a load test: nothing may be left
  scriptfleet check --json | jq .lost`
}

// books are the figures of check.
type books struct {
	Accepted    int64                `json:"accepted"`
	Finished    map[run.Status]int64 `json:"finished"`
	Results     int64                `json:"results"` // the sum of Finished
	Open        int64                `json:"open"`
	InFlight    int64                `json:"in_flight"`    // messages on the partitions, in any state
	DeadLetters int64                `json:"dead_letters"` // of the partitions
	Buried      int64                `json:"buried"`       // requests that could not be attributed
	Waiting     int64                `json:"waiting"`      // requests that no dispatcher has taken yet
	Lost        int64                `json:"lost"`
	Oldest      *look.OpenRun        `json:"oldest,omitempty"`

	Evicted int64 `json:"evicted,omitempty"` // keys that Redis has evicted

	// Differences are settings of processes, or of this command, that contradict
	// each other: runs may then be on queues that no process reads or counts.
	Differences []string `json:"differences,omitempty"`
	note        string   // about a roll in progress
}

func (b *books) compare(differences []shape.Difference) {
	for _, d := range differences {
		if d.Passing {
			b.note = d.Text
		} else {
			b.Differences = append(b.Differences, d.Text)
		}
	}
}

func (c *checkCommand) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Partitioned: c.Partitioned, Redis: c.Redis, Large: c.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	b, err := c.settled(ctx, fleet)
	if err != nil {
		return err
	}
	differ, err := look.Differences(ctx, fleet)
	if err != nil {
		return err
	}
	b.compare(differ)
	evicted, eviction := fleet.Evicted(ctx)
	b.Evicted = evicted
	if c.JSON {
		err = printJSON(b)
	} else {
		b.print(os.Stdout)
	}
	switch {
	case err != nil:
		return err
	case len(b.Differences) > 0:
		return fmt.Errorf("the books can't be trusted, since settings differ:\n  %s", strings.Join(b.Differences, "\n  "))
	case b.Evicted > 0:
		return fmt.Errorf("the books can't be trusted: %w", eviction)
	case b.Lost > 0:
		return fmt.Errorf("%d runs are lost: accepted, without a result, and on no queue; the oldest open one is %s (scriptfleet explain %s)", b.Lost, b.Oldest.Run, b.Oldest.Run)
	case c.Idle && b.Open > 0:
		return fmt.Errorf("%d runs are still in flight; the oldest is %s (scriptfleet explain %s)", b.Open, b.Oldest.Run, b.Oldest.Run)
	}
	return nil
}

// settled reads the books until they balance, at most for c.Settle.
func (c *checkCommand) settled(ctx context.Context, fleet *wire.Fleet) (books, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(c.Settle); ; {
		b, err := readBooks(ctx, fleet)
		if err != nil || b.Lost == 0 && !(c.Idle && b.Open > 0) || time.Now().After(deadline) {
			return b, err
		}
		select {
		case <-ctx.Done():
			return b, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func readBooks(ctx context.Context, fleet *wire.Fleet) (books, error) {
	// The ledger is read before and after the queues, and the smaller count of
	// open runs is used: so runs that begin or end in between do not look lost.
	before, err := fleet.Ledger.Books(ctx)
	if err != nil {
		return books{}, fmt.Errorf("read the ledger: %w", err)
	}
	depths, err := readDepths(ctx, fleet)
	if err != nil {
		return books{}, err
	}
	kept, err := fleet.Ledger.Books(ctx)
	if err != nil {
		return books{}, fmt.Errorf("read the ledger: %w", err)
	}
	b := books{
		Accepted: kept.Accepted, Finished: kept.Finished, Open: kept.Open,
		InFlight: int64(depths.partitions.Total()), DeadLetters: int64(depths.partitionDLQ.Total()),
		Buried: int64(depths.requestsDLQ.Total()), Waiting: int64(depths.requests.Total()),
	}
	for _, n := range kept.Finished {
		b.Results += n
	}
	// Some requests in flight are accepted, but not yet sent.
	b.Lost = max(0, min(before.Open, b.Open)-b.InFlight-b.DeadLetters-int64(depths.requests.InFlight))
	if b.Open > 0 {
		b.Oldest, err = look.OldestRun(ctx, fleet)
	}
	return b, err
}

// depths are the queues' depths; the partitions are added up.
type depths struct{ requests, partitions, partitionDLQ, requestsDLQ queue.Depth }

func readDepths(ctx context.Context, fleet *wire.Fleet) (depths, error) {
	queues, err := look.Queues(ctx, fleet)
	if err != nil {
		return depths{}, err
	}
	of := map[string]*queue.Depth{}
	var d depths
	names := fleet.Names()
	of[names.Requests], of[names.RequestsDLQ], of[names.PartitionDLQ], of[names.Side] = &d.requests, &d.requestsDLQ, &d.partitionDLQ, &d.partitions
	for _, name := range names.Partitions {
		of[name] = &d.partitions
	}
	for _, q := range queues {
		if to := of[q.Name]; to != nil {
			to.Visible += q.Visible
			to.InFlight += q.InFlight
			to.Delayed += q.Delayed
		}
	}
	return d, nil
}

func (b books) print(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(n int64, name, note string) { fmt.Fprintf(table, "%d\t %s\t  %s\t\n", n, name, note) }
	row(b.Accepted, "accepted", "")
	for _, s := range run.Statuses {
		if n := b.Finished[s]; n > 0 {
			row(n, string(s), "")
		}
	}
	row(b.Open, "open", "accepted and not finished")
	row(b.InFlight, "in flight", "messages on the partitions")
	row(b.DeadLetters, "dead letters", "scriptfleet dlq list")
	row(b.Buried, "buried requests", "scriptfleet dlq list --requests")
	row(b.Waiting, "requests waiting", "for a dispatcher")
	row(b.Lost, "lost", "")
	_ = table.Flush()
	if b.note != "" {
		fmt.Fprintf(w, "\nnote: %s\n", b.note)
	}
	if b.Oldest != nil {
		fmt.Fprintf(w, "\noldest open run: %s of %s, %s since %s\n", b.Oldest.Run, printable(b.Oldest.Tenant), b.Oldest.State, b.Oldest.Since.Local().Format(time.DateTime))
	}
}
