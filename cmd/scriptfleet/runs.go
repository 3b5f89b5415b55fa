package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type runsCommand struct {
	List runsList `cmd:"" default:"withargs" help:"List recent runs that have ended, the newest first."`
	Show runsShow `cmd:"" help:"Show one recent run, and where its time went."`
}

type runsList struct {
	operator
	config.Redis
	Tenant string        `help:"Only those of this tenant."`
	Status []run.Status  `enum:"succeeded,failed,timed_out,out_of_memory,build_failed,rejected,expired,cancelled,platform_error" placeholder:"STATUS" help:"Only those that ended so; may be repeated."`
	Action string        `help:"Only those of this action."`
	Script string        `help:"Only those of the script whose hash begins so."`
	Within time.Duration `default:"3d" min:"1s" max:"30d" help:"Only those that ended at most so long ago."`
	Limit  int           `default:"50" min:"1" max:"1000000" help:"At most so many."`
}

// Help is shown below the flags.
func (runsList) Help() string {
	return `The runs that ended lately, without inputs, outputs and logs. The fleet keeps the last 200 of each tenant, for three days after its last run; none after a loss of Redis. Where a run is that has not ended, explain tells.

Examples:

  scriptfleet runs list --tenant acme
  scriptfleet runs --status failed --status timed_out --within 1h    # list is the default
  scriptfleet runs --action extract_iocs --json | jq .timings_ms.total`
}

func (c *runsList) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Redis: c.Redis})
	if err != nil {
		return err
	}
	defer fleet.Close()
	found, err := look.RecentRuns(ctx, fleet.Ledger, c.Tenant, c.Limit, c.wants)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printLines(found, look.RunOf)
	case len(found) == 0:
		fmt.Println("No such run has ended lately.")
		return c.sayOpen(ctx, fleet.Ledger)
	}
	err = printTable(func(w io.Writer) {
		row(w, "ENDED", "TENANT", "ACTION", "RUN", "STATUS", "BUILD", "TOTAL", "ERROR")
		for _, s := range found {
			row(w, s.At.Local().Format(time.DateTime), s.Tenant, s.Action, s.Run, s.Status, s.Build, fmt.Sprint(s.Timings.Total, " ms"), errorOf(s))
		}
	})
	if err != nil {
		return err
	}
	return c.sayOpen(ctx, fleet.Ledger)
}

// sayOpen says how many runs have not ended: the list is without them.
func (c *runsList) sayOpen(ctx context.Context, l ledger.Ledger) error {
	var open int
	if c.Tenant != "" {
		of, err := l.Backlogs(ctx, []string{c.Tenant})
		if err != nil {
			return fmt.Errorf("read the backlog of tenant %s: %w", c.Tenant, err)
		}
		open = of[0]
	} else {
		books, err := l.Books(ctx)
		if err != nil {
			return fmt.Errorf("read the books: %w", err)
		}
		open = int(books.Open)
	}
	if open > 0 {
		fmt.Fprintf(os.Stderr, "%d runs have not ended, and are not listed. Where one is: scriptfleet explain RUN.\n", open)
	}
	return nil
}

// errorOf is a summary's error in words.
func errorOf(s ledger.Summary) string {
	if s.ErrorType == "" {
		return ""
	}
	return fmt.Sprintf("%s, for the %s", s.ErrorType, s.ErrorOwner)
}

func (c *runsList) wants(s ledger.Summary) bool {
	return (len(c.Status) == 0 || slices.Contains(c.Status, s.Status)) &&
		(c.Action == "" || s.Action == c.Action) &&
		(c.Script == "" || strings.HasPrefix(string(s.Script), c.Script)) &&
		time.Since(s.At) <= c.Within
}

type runsShow struct {
	operator
	config.Redis
	ID     string `arg:"" name:"run" help:"The run: the id of its result event, or of its request."`
	Tenant string `help:"Look at the runs of this tenant only."`
}

// Help is shown below the flags.
func (runsShow) Help() string {
	return `Examples:

  scriptfleet runs show 4hhavceakbso5qpd7bo7oh7ul4
  scriptfleet runs show 01JD… --tenant acme        # by the id of its request`
}

func (c *runsShow) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Redis: c.Redis})
	if err != nil {
		return err
	}
	defer fleet.Close()
	found, err := look.RecentRuns(ctx, fleet.Ledger, c.Tenant, 1, func(s ledger.Summary) bool { return string(s.Run) == c.ID || s.ID == c.ID })
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return errors.New("no recent run has this id: it has not ended (scriptfleet explain tells where it is), or more than the runs that are kept have ended since")
	case c.JSON:
		return printJSON(look.RunOf(found[0]))
	}
	printRun(os.Stdout, found[0])
	return nil
}

func printRun(w io.Writer, s ledger.Summary) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	line("run", "%s", s.Run)
	line("request", "%s of %s, %s", s.ID, s.Tenant, s.Source)
	if s.Action != "" {
		line("action", "%s", s.Action)
	}
	ended := string(s.Status)
	if s.ErrorType != "" {
		ended += ": " + errorOf(s)
	}
	line("ended", "%s, %s ago, as %s", s.At.Local().Format(time.DateTime), time.Since(s.At).Round(time.Second), ended)
	if s.Script != "" {
		line("script", "%s, %s", s.Script, s.Runtime)
	}
	if s.Build != run.BuildNone {
		line("build", "%s", strings.ReplaceAll(string(s.Build), "_", " "))
	}
	line("worker", "%s, attempt %d", s.Worker, s.Attempt)
	fmt.Fprintf(w, "\n%s", timeBar(s.Timings))
}

// barWidth is the length of a run's whole time, in characters.
const barWidth = 50

// timeBar shows the stages of a run one after the other.
func timeBar(t run.Timings) string {
	stages := []struct {
		name string
		ms   int64
	}{
		{"intake", t.Intake}, {"queue", t.Queue}, {"build wait", t.BuildWait}, {"build", t.Build},
		{"init", t.Init}, {"execute", t.Execute}, {"publish", t.Publish},
	}
	digits := max(len(fmt.Sprint(t.Total)), 4)
	var b strings.Builder
	var before int64
	at := func(ms int64) int { return int(ms * barWidth / max(t.Total, 1)) }
	for _, s := range stages {
		if s.ms == 0 {
			continue
		}
		from := min(at(before), barWidth-1)
		fmt.Fprintf(&b, "%-10s %*d ms  %s%s\n", s.name, digits, s.ms, strings.Repeat(" ", from), strings.Repeat("█", max(1, at(before+s.ms)-from)))
		before += s.ms
	}
	fmt.Fprintf(&b, "%-10s %*d ms\n", "total", digits, t.Total)
	return b.String()
}
