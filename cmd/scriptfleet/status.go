package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type statusCommand struct {
	operator
	config.Partitioned
	config.Redis
	config.Large
	Watch bool          `help:"Show it again and again, until Ctrl-C."`
	Every time.Duration `default:"2s" min:"500ms" max:"1h" help:"How often, with --watch."`
}

// Help is shown below the flags.
func (statusCommand) Help() string {
	return `The fleet on one screen: its processes with their releases, whether each takes work and why not, the queues, the open runs, and the tenants with the largest backlogs. A process is listed while it runs, and for 15 s after it died. What /readyz of one process says of each of its parts is more.

Exits 1 if no dispatcher or no worker takes work, or if settings of processes contradict each other.

Examples:

  scriptfleet status
  scriptfleet status --watch
  scriptfleet status --watch --every 10s --json | jq '[.at, .open, .results_per_second]'`
}

func (c *statusCommand) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Partitioned: c.Partitioned, Redis: c.Redis, Large: c.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	if c.Watch {
		return c.watch(ctx, fleet)
	}
	s, err := look.ReadStatus(ctx, fleet)
	if err != nil {
		return err
	}
	if err := c.show(s, ""); err != nil {
		return err
	}
	return s.Err()
}

// watch shows the status until Ctrl-C. A look that fails is shown too: the fleet
// may come back.
func (c *statusCommand) watch(ctx context.Context, fleet *wire.Fleet) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	before := ""
	if !c.JSON && term.IsTerminal(int(os.Stdout.Fd())) {
		before = "\x1b[H\x1b[2J" // the cursor at home, the screen empty
	}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	var last look.Status
	for {
		s, err := look.ReadStatus(ctx, fleet)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			fmt.Fprintf(os.Stderr, "%sscriptfleet: %s\n", before, printableLines(gone(err).Error()))
		default:
			if passed := s.At.Sub(last.At).Seconds(); !last.At.IsZero() && s.Ended >= last.Ended {
				rate := float64(s.Ended-last.Ended) / passed
				s.Rate = &rate
			}
			last = s
			if err := c.show(s, before); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *statusCommand) show(s look.Status, before string) error {
	if c.JSON {
		return printJSON(s)
	}
	fmt.Print(before)
	var b bytes.Buffer
	writeStatus(&b, s)
	return printFitted(b.String())
}

func writeStatus(w io.Writer, s look.Status) {
	fmt.Fprintf(w, "%s   %s\n\n", printable(s.Where), s.At.Local().Format(time.TimeOnly))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row(table, "PROCESS", "RELEASE", "HANDLER", "PARTITIONS", "TURNS", "UP FOR", "STATE")
	for _, p := range s.Processes {
		turns, up, state := "", "", "ready"
		if p.Turns > 0 {
			turns = fmt.Sprint(p.Turns)
		}
		if !p.Started.IsZero() {
			up = s.At.Sub(p.Started).Round(time.Second).String()
		}
		if !p.Ready {
			state = "not ready: " + p.Reason
		}
		row(table, p.Role+" "+p.Name, p.Release, p.Handler, p.Partitions, turns, up, state)
	}
	_ = table.Flush()
	if len(s.Processes) == 0 {
		fmt.Fprintln(w, "none: no dispatcher and no worker runs with this prefix and Redis")
	}
	fmt.Fprintln(w)
	printQueues(w, s)
	printRuns(w, s)
	for _, d := range s.Differences {
		fmt.Fprintf(w, "\nSettings differ: %s.\n", printable(d))
	}
}

// printQueues adds the partitions up.
func printQueues(w io.Writer, s look.Status) {
	const columns = "%-16s %8v %10v %8v%s\n"
	fmt.Fprintf(w, columns, "QUEUE", "WAITING", "IN FLIGHT", "DELAYED", "")
	var sum, most look.Queue
	partitions := 0
	for _, q := range s.Queues {
		q.Queue = strings.TrimPrefix(q.Queue, s.Prefix+"-")
		if _, err := strconv.Atoi(strings.TrimPrefix(q.Queue, "partition-")); err == nil {
			partitions++
			sum.Visible, sum.InFlight, sum.Delayed = sum.Visible+q.Visible, sum.InFlight+q.InFlight, sum.Delayed+q.Delayed
			if q.Visible > most.Visible {
				most = q
			}
			continue
		}
		if partitions > 0 {
			note := ""
			if most.Visible > 0 {
				note = fmt.Sprintf("  most on %s: %d", most.Queue, most.Visible)
			}
			fmt.Fprintf(w, columns, fmt.Sprintf("%d partitions", partitions), sum.Visible, sum.InFlight, sum.Delayed, note)
			partitions = 0
		}
		fmt.Fprintf(w, columns, q.Queue, q.Visible, q.InFlight, q.Delayed, "")
	}
}

func printRuns(w io.Writer, s look.Status) {
	fmt.Fprintf(w, "\n%d open runs of %d tenants, %d finished", s.Open, s.Tenants, s.Ended)
	var ended []string
	for _, status := range run.Statuses {
		if n := s.Finished[status]; n > 0 {
			ended = append(ended, fmt.Sprintf("%d %s", n, status))
		}
	}
	if len(ended) > 0 {
		fmt.Fprintf(w, ": %s", strings.Join(ended, ", "))
	}
	if s.Rate != nil {
		fmt.Fprintf(w, "; %.1f results a second", *s.Rate)
	}
	fmt.Fprintln(w)
	if o := s.Oldest; o != nil {
		fmt.Fprintf(w, "the oldest open run: %s of %s, %s for %s\n", o.Run, printable(o.Tenant), o.State, s.At.Sub(o.Since).Round(time.Second))
	}
	for i, b := range s.Backlogs {
		if i == 0 {
			fmt.Fprint(w, "most open runs: ")
		} else {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprintf(w, "%s %d", printable(b.Tenant), b.Open)
	}
	if len(s.Backlogs) > 0 {
		fmt.Fprintln(w)
	}
}
