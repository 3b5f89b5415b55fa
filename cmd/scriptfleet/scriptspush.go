package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type scriptsPush struct {
	scriptsOf
	callers
	config.Redis
	Path         string           `arg:"" name:"file" help:"The script; - reads it from standard input; or a folder with a scriptfleet.toml."`
	Tenant       string           `help:"Tenant that the script belongs to; a folder's scriptfleet.toml may name it instead."`
	ID           string           `name:"id" help:"Id of the script, such as phishing/extract."`
	Requirements requirementsFile `help:"File of requirements, in the form of requirements.txt."`
	Runtime      string           `help:"Such as python3.12 or aws-cli; the fleet's default if empty."`
	Timeout      *int             `min:"1" max:"900" help:"Seconds before the script is ended; the fleet's default if not given."`
	Label        string           `help:"Label that shall name the pushed version."`
	DryRun       bool             `help:"Only show what would change."`
	NoBuild      bool             `help:"Do not build; the first run does."`
	Wait         time.Duration    `default:"10m" min:"1s" max:"1d" help:"How long to wait for the builds."`
}

// Help is shown below the flags.
func (scriptsPush) Help() string {
	return `Stores a version, which is named by the digest of its content and never changes, and makes it the latest. Then the fleet builds it, behind the builds that runs wait for, so that its first run finds it built. Pushing the same content again changes nothing. Without --allow and --reader the lists of callers stay as they are.

The build's answer is a result event on the results queue. Where the platform takes all results from it, the answer goes there: then --redis-url (REDIS_URL) lets this command learn how the build ended, and --no-build lets it end without.

A folder's scriptfleet.toml names its scripts, with paths below the folder:

  tenant = "acme"

  [[script]]
  id = "phishing/extract"
  file = "extract.py"
  requirements = "requirements.txt"   # this and all below may be left out
  runtime = "python3.13"
  timeout = 30
  allow = ["team-b"]
  readers = ["team-a"]

Exit codes: 0 all are pushed and built, 1 a push failed, 2 usage, 3 a build failed, 5 the fleet rejects a script, 6 everything else.

Examples:

  scriptfleet scripts push extract.py --tenant acme --id phishing/extract --requirements requirements.txt --allow team-b
  scriptfleet scripts push . --label staging
  scriptfleet scripts push . --dry-run`
}

// pushed is what became of one script, also in JSON output.
type pushed struct {
	ID      string            `json:"id"`
	Version run.ScriptVersion `json:"version"`
	Created bool              `json:"created"`          // false: the version was there
	Build   *run.Result       `json:"build"`            // the result event of the build ahead; null without one
	Status  run.Status        `json:"status,omitempty"` // of the build

	name registry.Name
}

func (c *scriptsPush) Run(ctx context.Context) error {
	pushes, err := c.pushes()
	if err != nil {
		return exitError{exitUsage, err}
	}
	fleet, scripts, err := c.registry(ctx, c.Redis)
	if err != nil {
		return err
	}
	defer fleet.Close()
	if c.DryRun {
		return c.dry(ctx, scripts, pushes)
	}
	var done []*pushed
	for _, p := range pushes {
		_, created, err := scripts.Push(ctx, p, time.Now())
		if err != nil {
			return fmt.Errorf("push %s: %w", p.Name.ID, plainly(err))
		}
		done = append(done, &pushed{ID: p.Name.ID, Version: p.Pushed.Version(), Created: created, name: p.Name})
	}
	if !c.NoBuild {
		if err := buildAhead(ctx, fleet, done, c.Wait); err != nil {
			return errors.Join(c.print(done), exitError{exitOther, err})
		}
	}
	return errors.Join(c.print(done), failed(done))
}

// pushes are the scripts of the arguments, or of the folder.
func (c *scriptsPush) pushes() (pushes []registry.Push, err error) {
	if c.Label != "" {
		if bad := run.CheckLabel(c.Label); bad != nil {
			return nil, errors.New(bad.Message)
		}
	}
	if info, err := os.Stat(c.Path); c.Path != "-" && err == nil && info.IsDir() {
		if c.ID != "" || c.Requirements != "" || c.Runtime != "" || c.Timeout != nil || len(c.Allow)+len(c.Reader) > 0 {
			return nil, fmt.Errorf("%s is a folder, whose scriptfleet.toml says each script's id, requirements, runtime, timeout and callers: leave the flags out", c.Path)
		}
		return readFolder(c.Path, c.Tenant, c.Label)
	}
	if c.ID == "" || c.Tenant == "" {
		return nil, errors.New("a script needs its tenant and its id: give --tenant and --id, or push a folder with a scriptfleet.toml")
	}
	one := folderScript{ID: c.ID, File: c.Path, Requirements: string(c.Requirements), Runtime: c.Runtime, Timeout: seconds(c.Timeout)}
	if c.Allow != nil || c.Reader != nil {
		one.Allow, one.Readers = named(c.Allow), named(c.Reader)
	}
	p, err := one.push(c.Tenant, c.Label, func(name string) string { return name })
	return []registry.Push{p}, err
}

// print tells what became of each script. The log of a build goes to stderr.
func (c *scriptsPush) print(done []*pushed) error {
	if c.JSON {
		return printLines(done, asIs[*pushed])
	}
	for _, p := range done {
		what := "unchanged"
		if p.Created {
			what = "pushed"
		}
		fmt.Printf("%s@%s %s%s\n", p.ID, p.Version, what, p.outcome())
		if p.Build != nil && p.Build.Data.Build.Log != nil {
			fmt.Fprintln(os.Stderr, strings.TrimRight(*p.Build.Data.Build.Log, "\n"))
		}
	}
	return nil
}

func (p *pushed) outcome() string {
	switch {
	case p.Status == "":
		return ""
	case p.Build == nil:
		return fmt.Sprintf(", build %s (its answer went to another consumer of the results)", p.Status)
	case p.Status != run.Succeeded:
		return ", " + string(p.Status)
	}
	return fmt.Sprintf(", %s in %d ms", p.Build.Data.Build.Outcome, p.Build.Data.Timings.Total)
}

// failed is the error of the first script that could not be built.
func failed(done []*pushed) error {
	for _, p := range done {
		code := exitCode(p.Status)
		switch {
		case p.Status == "" || code == 0:
		case p.Build == nil:
			return exitError{code, fmt.Errorf("%s is pushed, and cannot run: %s; the reason is in its result event", p.ID, p.Status)}
		default:
			p.Build.Data.Build.Log = nil // printed before
			return exitError{code, fmt.Errorf("%s is pushed, and cannot run: %s", p.ID, sentence(*p.Build))}
		}
	}
	return nil
}
