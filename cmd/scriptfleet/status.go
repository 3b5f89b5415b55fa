package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

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

// fleetStatus is status' output.
type fleetStatus struct {
	At        time.Time            `json:"at"`
	Prefix    string               `json:"prefix"`
	Where     string               `json:"where"`
	Processes []shownProcess       `json:"processes"`
	Queues    []shownQueue         `json:"queues"`
	Accepted  int64                `json:"accepted" about:"Runs since the ledger was last empty."`
	Finished  map[run.Status]int64 `json:"finished"`
	Open      int64                `json:"open" about:"Runs that are accepted and not finished."`
	Oldest    *openRun             `json:"oldest,omitempty" about:"The oldest open run."`
	Rate      *float64             `json:"results_per_second,omitempty" about:"Since the last look, with --watch."`
	Backlogs  []shownBacklog       `json:"backlogs" about:"The tenants with the most open runs, five at most."`
	Tenants   int                  `json:"tenants_with_open_runs"`
	// Differences are settings of processes that contradict each other.
	Differences []string `json:"differences,omitempty" about:"Settings of processes that contradict each other."`

	finished int64
}

type shownProcess struct {
	Role       string    `json:"role" about:"dispatcher or worker"`
	Name       string    `json:"name"`
	Release    string    `json:"release"`
	Handler    string    `json:"handler" about:"Version of the handler in its functions."`
	Partitions int       `json:"partitions"`
	Turns      int       `json:"turns,omitempty" about:"Runs that it executes at a time."`
	Started    time.Time `json:"started,omitzero"`
	Ready      bool      `json:"ready"`
	Reason     string    `json:"reason,omitempty" about:"Why it takes no work."`
}

type shownQueue struct {
	Queue    string `json:"queue"`
	Visible  int    `json:"visible"`
	InFlight int    `json:"in_flight"`
	Delayed  int    `json:"delayed"`
}

type shownBacklog struct {
	Tenant string `json:"tenant"`
	Open   int    `json:"open"`
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
	s, err := readStatus(ctx, fleet)
	if err != nil {
		return err
	}
	if err := c.show(s, ""); err != nil {
		return err
	}
	return s.err()
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
	var last fleetStatus
	for {
		s, err := readStatus(ctx, fleet)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			fmt.Fprintf(os.Stderr, "%sscriptfleet: %s\n", before, printableLines(gone(err).Error()))
		default:
			if passed := s.At.Sub(last.At).Seconds(); !last.At.IsZero() && s.finished >= last.finished {
				rate := float64(s.finished-last.finished) / passed
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

func (c *statusCommand) show(s fleetStatus, before string) error {
	if c.JSON {
		return printJSON(s)
	}
	fmt.Print(before)
	var b bytes.Buffer
	s.write(&b)
	return printFitted(b.String())
}

func readStatus(ctx context.Context, fleet *wire.Fleet) (s fleetStatus, err error) {
	s = fleetStatus{At: time.Now().UTC().Truncate(time.Millisecond), Prefix: fleet.Settings.Prefix, Where: fleet.Where(), Processes: []shownProcess{}, Backlogs: []shownBacklog{}}
	books, err := fleet.Ledger.Books(ctx)
	if err != nil {
		return s, fmt.Errorf("read the ledger: %w", err)
	}
	s.Accepted, s.Finished, s.Open = books.Accepted, books.Finished, books.Open
	for _, n := range books.Finished {
		s.finished += n
	}
	if s.Oldest, err = oldestRun(ctx, fleet); err != nil {
		return s, err
	}
	backlogs, err := fleet.Ledger.AllBacklogs(ctx)
	if err != nil {
		return s, err
	}
	s.Tenants = len(backlogs)
	for _, tenant := range slices.Sorted(maps.Keys(backlogs)) {
		s.Backlogs = append(s.Backlogs, shownBacklog{tenant, backlogs[tenant]})
	}
	slices.SortStableFunc(s.Backlogs, func(a, b shownBacklog) int { return cmp.Compare(b.Open, a.Open) })
	s.Backlogs = s.Backlogs[:min(len(s.Backlogs), 5)]
	if err := s.readProcesses(ctx, fleet); err != nil {
		return s, err
	}
	queues, err := readQueues(ctx, fleet)
	for _, q := range queues {
		s.Queues = append(s.Queues, shownQueue{q.name, q.Visible, q.InFlight, q.Delayed})
	}
	return s, err
}

func (s *fleetStatus) readProcesses(ctx context.Context, fleet *wire.Fleet) error {
	processes, err := fleet.Shape().Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		shown := shownProcess{
			Role: string(p.Role), Name: p.Name, Release: p.Release, Handler: p.Version, Partitions: p.Partitions, Turns: p.Turns,
			Ready: p.NotReady == "", Reason: p.NotReady,
		}
		if p.Started > 0 {
			shown.Started = time.Unix(p.Started, 0).UTC()
		}
		s.Processes = append(s.Processes, shown)
	}
	slices.SortFunc(s.Processes, func(a, b shownProcess) int {
		return cmp.Or(strings.Compare(a.Role, b.Role), strings.Compare(a.Name, b.Name))
	})
	differ, err := differences(ctx, fleet)
	for _, d := range differ {
		if !d.Passing {
			s.Differences = append(s.Differences, d.Text)
		}
	}
	return err
}

// err is an error if the fleet does not work as a whole.
func (s *fleetStatus) err() error {
	ready := map[string]bool{}
	for _, p := range s.Processes {
		ready[p.Role] = ready[p.Role] || p.Ready
	}
	switch {
	case !ready["dispatcher"]:
		return fmt.Errorf("no dispatcher of %s takes work: start one, or look at /readyz of those that run", s.Prefix)
	case !ready["worker"]:
		return fmt.Errorf("no worker of %s takes work: start one, or look at /readyz of those that run", s.Prefix)
	case len(s.Differences) > 0:
		return fmt.Errorf("settings differ:\n  %s", strings.Join(s.Differences, "\n  "))
	}
	return nil
}

func (s *fleetStatus) write(w io.Writer) {
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
	s.printQueues(w)
	s.printRuns(w)
	for _, d := range s.Differences {
		fmt.Fprintf(w, "\nSettings differ: %s.\n", printable(d))
	}
}

// printQueues adds the partitions up.
func (s *fleetStatus) printQueues(w io.Writer) {
	const columns = "%-16s %8v %10v %8v%s\n"
	fmt.Fprintf(w, columns, "QUEUE", "WAITING", "IN FLIGHT", "DELAYED", "")
	var sum, most shownQueue
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

func (s *fleetStatus) printRuns(w io.Writer) {
	fmt.Fprintf(w, "\n%d open runs of %d tenants, %d finished", s.Open, s.Tenants, s.finished)
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
