package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type runtimesCommand struct {
	List   runtimesList   `cmd:"" default:"withargs" help:"List the runtimes that requests may name."`
	Add    runtimesAdd    `cmd:"" help:"Add a runtime with an interpreter of your own, a ZIP, to the table of runtimes."`
	Remove runtimesRemove `cmd:"" help:"Remove a runtime from the table of runtimes."`
}

type runtimesList struct {
	config.RuntimeTable
	AllowRetired bool `help:"As the fleet has it: accept runtimes that Lambda has deprecated."`
	JSON         bool `name:"json" help:"Print JSON, one object a line (scriptfleet schema)."`
}

// Help is shown below the flags.
func (runtimesList) Help() string {
	return `Offered runtimes are taken; deprecated ones get no security fixes from Lambda any more, and are taken where the fleet has --allow-retired, with a warning in the result (data.warning); retired ones are refused, with a message that names others.

The table can be extended with a file that all processes of the fleet are given, and read again when it changes, such as

  {"runtimes": [{"name": "phishing", "lambda": "python3.13", "python": "3.13", "platform": "manylinux_2_34", "requirements": ["requests==2.32.3"]}]}

An entry of a known name replaces that runtime; "deprecated" and "create_blocked" are days, such as "2027-06-30"; "tenants" are those that may use it, all by default. Entries with an interpreter of their own are written by scriptfleet runtimes add.

Examples:

  scriptfleet runtimes list
  scriptfleet runtimes list --runtimes runtimes.json --json | jq -r 'select(.state == "offered").runtime'`
}

// shownRuntime is a runtime in JSON output.
type shownRuntime struct {
	Runtime      string   `json:"runtime"`
	State        string   `json:"state" about:"offered, deprecated (taken, without security fixes) or retired (refused)"`
	Python       string   `json:"python"`
	Lambda       string   `json:"lambda"`
	Platform     string   `json:"platform" about:"the newest wheels that its C library takes"`
	Requirements string   `json:"requirements" about:"its own, which a request can't change"`
	Zip          string   `json:"zip,omitempty" about:"SHA-256 of the ZIP of its own interpreter; absent for Lambda's"`
	Tenants      []string `json:"tenants,omitempty" about:"those that may use it; absent for all"`
	Deprecated   string   `json:"deprecated" about:"the day from which Lambda no longer maintains it; empty where none is set"`
}

func (c *runtimesList) Run() error {
	catalog, err := c.Catalog()
	if err != nil {
		return exitError{exitUsage, err}
	}
	var all []shownRuntime
	for _, o := range catalog {
		all = append(all, c.shown(o, time.Now()))
	}
	if c.JSON {
		return printLines(all, asIs[shownRuntime])
	}
	return printTable(func(w io.Writer) {
		fmt.Fprintln(w, "RUNTIME\tSTATE\tPYTHON\tDEPRECATED\tTENANTS")
		for _, r := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Runtime, r.State, r.Python, cmp.Or(r.Deprecated, "no day set"), cmp.Or(strings.Join(r.Tenants, ", "), "all"))
		}
	})
}

func (c *runtimesList) shown(o run.Offer, now time.Time) shownRuntime {
	r := shownRuntime{Runtime: o.Name, State: "offered", Python: o.Python, Lambda: o.Lambda, Platform: o.Platform, Requirements: o.Requirements, Zip: o.Zip, Tenants: o.Tenants}
	if !o.Deprecated.IsZero() {
		r.Deprecated = o.Deprecated.Format(time.DateOnly)
	}
	switch {
	case !o.Retired(now):
	case c.AllowRetired:
		r.State = "deprecated"
	default:
		r.State = "retired"
	}
	return r
}
