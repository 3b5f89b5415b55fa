package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
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

func (c *explainCommand) Run(ctx context.Context) error {
	if (c.Tenant == "") != (c.Source == "") {
		return exitError{exitUsage, fmt.Errorf("a request is named by its id, --tenant and --source together")}
	}
	fleet, err := c.openLedger(ctx, config.Fleet{Partitioned: c.Partitioned, Redis: c.Redis, Large: c.Large, Tenants: c.Tenants})
	if err != nil {
		return err
	}
	defer fleet.Close()
	e, err := look.Explain(ctx, fleet, look.Asked{ID: c.ID, Tenant: c.Tenant, Source: c.Source})
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(e)
	} else {
		printExplanation(os.Stdout, e)
	}
	if err == nil && e.State == look.StateName(ledger.Unknown) {
		return exitError{exitFailed, nil}
	}
	return err
}

func printExplanation(w io.Writer, e look.Explanation) {
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
