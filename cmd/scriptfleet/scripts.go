package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// scriptsCommand has the commands on the script registry; push has its own
// file.
type scriptsCommand struct {
	Push    scriptsPush    `cmd:"" help:"Push a script, or a folder with a scriptfleet.toml, and build what is new."`
	List    scriptsList    `cmd:"" help:"List a tenant's scripts, with their versions, labels and callers."`
	Show    scriptsShow    `cmd:"" help:"Print a version's text and what it was pushed with."`
	Promote scriptsPromote `cmd:"" help:"Make a label name a version."`
	Share   scriptsShare   `cmd:"" help:"Replace the lists of callers that may run or read a script."`
	Remove  scriptsRemove  `cmd:"" help:"Remove a script: no later request can name it."`
}

// scriptsOf are the flags of all of these commands.
type scriptsOf struct {
	operator
	config.Large
}

// registry opens the registry of the fleet that the environment names, and its
// Redis if one is given.
func (c scriptsOf) registry(ctx context.Context, redis config.Redis) (*wire.Fleet, *registry.Registry, error) {
	fleet, err := c.open(ctx, config.Fleet{Large: c.Large, Redis: redis})
	if err != nil {
		return nil, nil, err
	}
	scripts, err := fleet.Scripts()
	if err != nil {
		fleet.Close()
		return nil, nil, exitError{exitUsage, err}
	}
	return fleet, scripts, nil
}

// with calls do with the registry of the fleet that the environment names.
func (c scriptsOf) with(ctx context.Context, do func(*registry.Registry) error) error {
	fleet, scripts, err := c.registry(ctx, config.Redis{})
	if err != nil {
		return err
	}
	defer fleet.Close()
	return plainly(do(scripts))
}

// reference reads an argument that names a script of a tenant.
func reference(tenant, text string) (registry.Name, run.Reference, error) {
	if bad := run.CheckTenant(tenant); bad != nil {
		return registry.Name{}, run.Reference{}, exitError{exitUsage, errors.New(bad.Message)}
	}
	ref, bad := run.ParseReference(text)
	if bad != nil {
		return registry.Name{}, ref, exitError{exitUsage, errors.New(strings.Replace(bad.Message, "data.script_ref", "The script", 1))}
	}
	return registry.Name{Tenant: tenant, ID: ref.ID}, ref, nil
}

// plainly is an error of the registry without the type and the owner that a
// result would have.
func plainly(err error) error {
	var refused *run.Error
	if errors.As(err, &refused) {
		return errors.New(refused.Message)
	}
	return err
}

type scriptsList struct {
	scriptsOf
	Tenant string `required:"" help:"Tenant whose scripts they are."`
}

// Help is shown below the flags.
func (scriptsList) Help() string {
	return `Examples:

  scriptfleet scripts list --tenant acme
  scriptfleet scripts list --tenant acme --json | jq -r .latest`
}

// shownScript is a script in JSON output. It has no text.
type shownScript struct {
	ID string `json:"id"`
	registry.Entry
}

func (c *scriptsList) Run(ctx context.Context) error {
	if bad := run.CheckTenant(c.Tenant); bad != nil {
		return exitError{exitUsage, errors.New(bad.Message)}
	}
	var found map[string]registry.Entry
	err := c.with(ctx, func(scripts *registry.Registry) (err error) {
		found, err = scripts.List(ctx, c.Tenant)
		return err
	})
	if err != nil {
		return err
	}
	ids := slices.Sorted(maps.Keys(found))
	if c.JSON {
		return printLines(ids, func(id string) shownScript { return shownScript{id, found[id]} })
	}
	return printTable(func(w io.Writer) {
		fmt.Fprintln(w, "SCRIPT\tLATEST\tPUSHED\tVERSIONS\tLABELS\tMAY RUN\tMAY READ TOO")
		for _, id := range ids {
			e := found[id]
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", id, e.Latest, pushedAt(e, e.Latest), len(e.Versions), labelsOf(e), mayRun(e), cmp.Or(strings.Join(e.Readers, ", "), "-"))
		}
	})
}

func pushedAt(e registry.Entry, v run.ScriptVersion) string {
	for _, known := range e.Versions {
		if known.Version == v {
			return known.PushedAt.Local().Format(time.DateTime)
		}
	}
	return "-"
}

// labelsOf are an entry's labels with their versions, shortened where that is
// the latest.
func labelsOf(e registry.Entry) string {
	var all []string
	for _, label := range slices.Sorted(maps.Keys(e.Labels)) {
		if v := e.Labels[label]; v != e.Latest {
			label += "=" + string(v)
		}
		all = append(all, label)
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}

func mayRun(e registry.Entry) string {
	if e.MayRun("") {
		return "every caller"
	}
	return cmp.Or(strings.Join(e.Allow, ", "), "-")
}

type scriptsShow struct {
	scriptsOf
	Script string `arg:"" help:"The script: id, id@version or id@label."`
	Tenant string `required:"" help:"Tenant whose script it is."`
	Caller string `help:"Team for which it is shown; refused if the team may not read the script. Without it, it is shown to whoever can read the bucket."`
}

// Help is shown below the flags.
func (scriptsShow) Help() string {
	return `The text goes to stdout, all else to stderr.

Examples:

  scriptfleet scripts show phishing/extract --tenant acme
  scriptfleet scripts show phishing/extract@prod --tenant acme --caller team-b
  scriptfleet scripts show phishing/extract --tenant acme --json | jq -r .requirements`
}

func (c *scriptsShow) Run(ctx context.Context) error {
	name, ref, err := reference(c.Tenant, c.Script)
	if err != nil {
		return err
	}
	var p run.Pushed
	err = c.with(ctx, func(scripts *registry.Registry) (err error) {
		p, err = scripts.Read(ctx, name, ref, c.Caller)
		return err
	})
	if err != nil {
		return err
	}
	pinned := run.Reference{ID: ref.ID, Version: p.Version()}
	if c.JSON {
		return printJSON(struct {
			Script string `json:"script_ref"`
			run.Pushed
		}{pinned.String(), p})
	}
	fmt.Fprintf(os.Stderr, "%s, runtime %s, timeout %s, requirements: %s\n", pinned, cmp.Or(p.Runtime, "the fleet's default"), timeoutOf(p),
		cmp.Or(strings.Join(strings.Split(strings.TrimSpace(p.Requirements), "\n"), ", "), "none"))
	return printWhole(p.Source)
}

func timeoutOf(p run.Pushed) string {
	if p.TimeoutSeconds == 0 {
		return "the fleet's default"
	}
	return fmt.Sprintf("%d s", p.TimeoutSeconds)
}

type scriptsPromote struct {
	scriptsOf
	Script string `arg:"" help:"The version to name: id for the one pushed last, id@version or id@label."`
	Label  string `arg:"" help:"The label, such as prod."`
	Tenant string `required:"" help:"Tenant whose script it is."`
}

// Help is shown below the flags.
func (scriptsPromote) Help() string {
	return `Runs that were accepted before keep their version.

Examples:

  scriptfleet scripts promote phishing/extract prod --tenant acme         # the version pushed last
  scriptfleet scripts promote phishing/extract@staging prod --tenant acme # the version that staging names
  scriptfleet scripts promote phishing/extract@rlcj3mzmqhcvz5tjkgqtsbk44e prod --tenant acme`
}

func (c *scriptsPromote) Run(ctx context.Context) error {
	name, ref, err := reference(c.Tenant, c.Script)
	if err != nil {
		return err
	}
	if bad := run.CheckLabel(c.Label); bad != nil {
		return exitError{exitUsage, errors.New(bad.Message)}
	}
	var v run.ScriptVersion
	err = c.with(ctx, func(scripts *registry.Registry) (err error) {
		v, err = scripts.Promote(ctx, name, ref, c.Label)
		return err
	})
	if err != nil {
		return err
	}
	return c.say(map[string]any{"id": name.ID, "label": c.Label, "version": v}, "%s@%s is version %s", name.ID, c.Label, v)
}

// say prints what was done, as JSON or as a sentence.
func (c scriptsOf) say(done map[string]any, format string, args ...any) error {
	if c.JSON {
		return printJSON(done)
	}
	fmt.Printf(format+"\n", args...)
	return nil
}

// callers are the lists of callers, as flags.
type callers struct {
	Allow  []string `help:"Callers that may run the script; empty, with --reader empty too, for every caller."`
	Reader []string `help:"Callers that may run and read the script."`
}

func (c callers) sharing() (registry.Sharing, error) {
	s := registry.Sharing{Allow: named(c.Allow), Readers: named(c.Reader)}
	for _, name := range slices.Concat(s.Allow, s.Readers) {
		if bad := run.CheckCaller(name); bad != nil {
			return s, exitError{exitUsage, errors.New(bad.Message)}
		}
	}
	return s, nil
}

// named are the names without empty ones: --allow= stands for nobody.
func named(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "" })
}

type scriptsShare struct {
	scriptsOf
	callers
	Script string `arg:"" help:"The script's id; the lists are for all of its versions."`
	Tenant string `required:"" help:"Tenant whose script it is."`
}

// Help is shown below the flags.
func (scriptsShare) Help() string {
	return `Without a list, every caller may run the script. Runs that were accepted before run.

Examples:

  scriptfleet scripts share phishing/extract --tenant acme --allow team-b,team-c --reader team-a
  scriptfleet scripts share phishing/extract --tenant acme`
}

func (c *scriptsShare) Run(ctx context.Context) error {
	name, _, err := reference(c.Tenant, c.Script)
	if err != nil {
		return err
	}
	sharing, err := c.sharing()
	if err != nil {
		return err
	}
	err = c.with(ctx, func(scripts *registry.Registry) error { return scripts.Share(ctx, name, sharing) })
	if err != nil {
		return err
	}
	e := registry.Entry{Sharing: sharing}
	return c.say(map[string]any{"id": name.ID, "allow": json.RawMessage(list(sharing.Allow)), "readers": json.RawMessage(list(sharing.Readers))},
		"%s may be run by: %s; run and read by: %s", name.ID, mayRun(e), cmp.Or(strings.Join(e.Readers, ", "), "-"))
}

// list is a JSON array, also where there is none.
func list(names []string) []byte {
	body, err := json.Marshal(append([]string{}, names...))
	if err != nil {
		return []byte("[]")
	}
	return body
}

type scriptsRemove struct {
	scriptsOf
	Script string `arg:"" help:"The script's id; all of its versions are removed."`
	Tenant string `required:"" help:"Tenant whose script it is."`
	Erase  bool   `help:"Remove the texts too. Accepted runs that have not begun then end as rejected."`
}

// Help is shown below the flags.
func (scriptsRemove) Help() string {
	return `Later requests that name the script are rejected. Its functions stay until scriptfleet functions remove removes them.

Examples:

  scriptfleet scripts remove phishing/extract --tenant acme
  scriptfleet scripts remove phishing/extract --tenant acme --erase`
}

func (c *scriptsRemove) Run(ctx context.Context) error {
	name, _, err := reference(c.Tenant, c.Script)
	if err != nil {
		return err
	}
	err = c.with(ctx, func(scripts *registry.Registry) error { return scripts.Remove(ctx, name, c.Erase, time.Now()) })
	if err != nil {
		return err
	}
	return c.say(map[string]any{"id": name.ID, "removed": true, "erased": c.Erase}, "%s is removed", name.ID)
}
