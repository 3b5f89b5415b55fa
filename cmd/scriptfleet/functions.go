package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type functionsCommand struct {
	List   functionsList   `cmd:"" help:"List the fleet's functions."`
	Build  functionsBuild  `cmd:"" help:"Build a script ahead, so that its first run has no delay."`
	Remove functionsRemove `cmd:"" help:"Remove functions that were made long ago; one that is needed again is built again."`
}

type functionsList struct {
	operator
	Tenant string `help:"Only those of this tenant."`
}

// Help is shown below the flags.
func (functionsList) Help() string {
	return `Examples:

  scriptfleet functions list --tenant acme
  scriptfleet functions list --json | jq -r .function`
}

func (c *functionsList) Run(ctx context.Context) error {
	fleet, err := c.open(ctx, config.Fleet{})
	if err != nil {
		return err
	}
	defer fleet.Close()
	found, err := fleet.Functions(1, nil).List(ctx)
	if err != nil {
		return err
	}
	found = ofTenant(found, c.Prefix, c.Tenant)
	if c.JSON {
		return printLines(found, shownAs)
	}
	return printTable(func(w io.Writer) {
		row(w, "FUNCTION", "RUNTIME", "MADE", "CODE")
		for _, f := range found {
			row(w, f.Name, f.Runtime, f.LastModified.Local().Format(time.DateTime), fmt.Sprint(f.CodeBytes, " bytes"))
		}
	})
}

// ofTenant returns the functions of a tenant, or all for an empty tenant.
func ofTenant(all []function.Info, prefix, tenant string) []function.Info {
	if tenant == "" {
		return all
	}
	begin := run.TenantPrefix(prefix, tenant)
	mine := []function.Info{}
	for _, f := range all {
		if len(f.Name) > len(begin) && f.Name[:len(begin)] == begin {
			mine = append(mine, f)
		}
	}
	return mine
}

// shownFunction is a function in JSON output.
type shownFunction struct {
	Function  string    `json:"function"`
	Runtime   string    `json:"runtime"`
	Made      time.Time `json:"made"`
	CodeBytes int64     `json:"code_bytes"`
}

func shownAs(f function.Info) shownFunction {
	return shownFunction{f.Name, f.Runtime, f.LastModified, f.CodeBytes}
}

type functionsBuild struct {
	operator
	config.Large
	File         string           `arg:"" help:"The script; - reads it from standard input."`
	Requirements requirementsFile `help:"File of requirements, in the form of requirements.txt."`
	Runtime      string           `help:"Such as python3.12; the fleet's default if empty."`
	Timeout      *int             `min:"1" max:"900" help:"Seconds; part of the function, so later runs must use the same."`
	Tenant       string           `required:"" help:"Tenant that the script belongs to."`
	Wait         time.Duration    `default:"10m" min:"1s" max:"1d" help:"How long to wait for the build."`
}

// Help is shown below the flags.
func (functionsBuild) Help() string {
	return `Examples:

  scriptfleet functions build report.py --tenant acme --requirements requirements.txt --timeout 30`
}

func (c *functionsBuild) Run(ctx context.Context) error {
	like := runCommand{
		File: c.File, Input: "{}", Requirements: c.Requirements, Runtime: c.Runtime, Timeout: c.Timeout, Tenant: c.Tenant,
	}
	request, err := like.request()
	if err != nil {
		return exitError{exitUsage, err}
	}
	request.Type, request.Source, request.ID = run.TypeSaved, "/scriptfleet/functions", uuid.NewString()
	if refused := unattributable(request); refused != nil {
		return exitError{exitCodes[run.Rejected], errors.New(refused.Message)}
	}
	fleet, err := c.open(ctx, config.Fleet{Large: c.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	cl, err := embedded.Client(ctx, fleet)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	line := progress.Stderr()
	line.Say("building %s", c.File)
	res, err := send(ctx, fleet, cl, request, line)
	line.Stop()
	switch {
	case err != nil:
		return err
	case c.JSON:
		if err := printJSON(res); err != nil {
			return err
		}
	case res.Data.Status == run.Succeeded:
		fmt.Printf("%s in %d ms\n", res.Data.Build.Outcome, res.Data.Timings.Total)
	}
	if code := exitCode(res.Data.Status); code != 0 {
		return exitError{code, fmt.Errorf("%s", sentence(res))}
	}
	return nil
}

type functionsRemove struct {
	operator
	config.Redis
	Older  time.Duration `default:"30d" min:"0s" max:"10000d" name:"older-than" help:"Remove functions that were made longer ago than this."`
	Tenant string        `help:"Only those of this tenant."`
	DryRun bool          `help:"Only print which would be removed."`
}

// Help is shown below the flags.
func (functionsRemove) Help() string {
	return `Examples:

  scriptfleet functions remove --older-than 90d --dry-run`
}

func (c *functionsRemove) Run(ctx context.Context) error {
	fleet, err := c.openLedger(ctx, config.Fleet{Redis: c.Redis})
	if err != nil {
		return err
	}
	defer fleet.Close()
	functions := fleet.Functions(1, nil)
	found, err := functions.List(ctx)
	if err != nil {
		return err
	}
	line := progress.Stderr()
	defer line.Stop()
	pace := fleet.Limiter()
	removed := []function.Info{}
	for _, f := range ofTenant(found, c.Prefix, c.Tenant) {
		if time.Since(f.LastModified) < c.Older {
			continue
		}
		if !c.DryRun {
			line.Say("removing %s", f.Name)
			if err := pace.Wait(ctx, ratelimit.Ahead); err != nil {
				return fmt.Errorf("wait for a call to the control plane: %w", err)
			}
			if err := functions.Delete(ctx, f.Name); err != nil && function.ClassOf(err) != function.NotFound {
				return err
			}
		}
		removed = append(removed, f)
		if !c.JSON {
			line.Print(os.Stdout, "%s made %s", f.Name, f.LastModified.Local().Format(time.DateTime))
		}
	}
	if c.JSON {
		return printLines(removed, shownAs)
	}
	return nil
}
