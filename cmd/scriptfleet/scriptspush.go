package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type scriptsPush struct {
	scriptsOf
	callers
	Path         string        `arg:"" name:"file" help:"The script; - reads it from standard input; or a folder with a scriptfleet.toml."`
	Tenant       string        `help:"Tenant that the script belongs to; a folder's scriptfleet.toml may name it instead."`
	ID           string        `name:"id" help:"Id of the script, such as phishing/extract."`
	Requirements string        `help:"File of requirements, in the form of requirements.txt." type:"existingfile"`
	Runtime      string        `help:"Such as python3.12 or aws-cli; the fleet's default if empty."`
	Timeout      *int          `min:"1" max:"900" help:"Seconds before the script is ended; the fleet's default if not given."`
	Label        string        `help:"Label that shall name the pushed version."`
	DryRun       bool          `help:"Only show what would change."`
	NoBuild      bool          `help:"Do not build; the first run does."`
	Wait         time.Duration `default:"10m" min:"1s" max:"1d" help:"How long to wait for the builds."`
}

// Help is shown below the flags.
func (scriptsPush) Help() string {
	return `Stores a version, which is named by the digest of its content and never changes, and makes it the latest. Then the fleet builds it, behind the builds that runs wait for, so that its first run finds it built. Pushing the same content again changes nothing. Without --allow and --reader the lists of callers stay as they are.

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
	Created bool              `json:"created"` // false: the version was there
	Build   *run.Result       `json:"build"`   // the result event of the build ahead; null without one
	Error   string            `json:"error,omitempty"`

	name registry.Name
}

func (c *scriptsPush) Run(ctx context.Context) error {
	pushes, err := c.pushes()
	if err != nil {
		return exitError{exitUsage, err}
	}
	fleet, scripts, err := c.registry(ctx)
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
		if err := c.build(ctx, fleet, done); err != nil {
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
	one := folderScript{ID: c.ID, File: c.Path, Requirements: c.Requirements, Runtime: c.Runtime, Timeout: seconds(c.Timeout)}
	if c.Allow != nil || c.Reader != nil {
		one.Allow, one.Readers = without(c.Allow, ""), without(c.Reader, "")
	}
	p, err := one.push(c.Tenant, c.Label, func(name string) string { return name })
	return []registry.Push{p}, err
}

// build asks the fleet to build the versions, and waits for its answers.
func (c *scriptsPush) build(ctx context.Context, fleet *wire.Fleet, done []*pushed) error {
	cl, err := embedded.Client(ctx, fleet)
	if err != nil {
		return err
	}
	cl.PollWait = time.Second // the longest time that Ctrl-C waits
	waiting, requests := map[run.Key]*pushed{}, []run.Request(nil)
	for _, p := range done {
		r := run.Request{
			SpecVersion: run.SpecVersion, Type: run.TypeSaved, Source: "/scriptfleet/scripts", ID: uuid.NewString(), Tenant: p.name.Tenant,
			Data: run.RequestData{Action: p.ID, ScriptRef: run.Reference{ID: p.ID, Version: p.Version}.String()},
		}
		waiting[run.KeyOf(r.Tenant, r.Source, r.ID)] = p
		requests = append(requests, r)
	}
	if err := errors.Join(cl.Send(ctx, requests...)...); err != nil {
		return fmt.Errorf("ask for the builds: %w", err)
	}
	line := progress.Stderr()
	defer line.Stop()
	ctx, stop := context.WithTimeout(ctx, c.Wait)
	defer stop()
	line.Say("building %d scripts", len(waiting))
	err = cl.Consume(ctx, func(_ context.Context, r client.Received) error {
		p, mine := waiting[r.ID]
		if !mine {
			return client.ErrNotMine
		}
		p.Build = &r.Result
		delete(waiting, r.ID)
		if line.Say("building %d scripts", len(waiting)); len(waiting) == 0 {
			stop()
		}
		return nil
	})
	if len(waiting) > 0 {
		return errors.Join(err, fmt.Errorf("%d builds have not answered within %s; the scripts are pushed, and their first runs build them: is a worker running?", len(waiting), c.Wait))
	}
	return nil
}

// print tells what became of each script. The log of a build goes to stderr.
func (c *scriptsPush) print(done []*pushed) error {
	if c.JSON {
		return printJSON(done)
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
	case p.Build == nil:
		return ""
	case p.Build.Data.Status != run.Succeeded:
		return ", " + string(p.Build.Data.Status)
	}
	return fmt.Sprintf(", %s in %d ms", p.Build.Data.Build.Outcome, p.Build.Data.Timings.Total)
}

// failed is the error of the first script that could not be built.
func failed(done []*pushed) error {
	for _, p := range done {
		if p.Build == nil {
			continue
		}
		if code := exitCode(p.Build.Data.Status); code != 0 {
			p.Build.Data.Build.Log = nil // printed before
			return exitError{code, fmt.Errorf("%s is pushed, and cannot run: %s", p.ID, sentence(*p.Build))}
		}
	}
	return nil
}
