package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/config"
)

type dlqCommand struct {
	List    dlqList    `cmd:"" help:"List dead letters."`
	Show    dlqShow    `cmd:"" help:"Print one dead letter, whole."`
	Redrive dlqRedrive `cmd:"" help:"Send dead letters to the requests queue again."`
	Delete  dlqDelete  `cmd:"" help:"Delete dead letters for good."`
}

// letters are the flags of all four commands.
type letters struct {
	operator
	config.Large
	Requests bool          `help:"The dead letters of the requests queue: requests that name no tenant, source and id. Default: those of the partitions."`
	Look     time.Duration `default:"2s" min:"1s" max:"10m" help:"How long to look: a queue shows its messages in parts."`
}

// with calls f with the dead letters that the flags name.
func (l letters) with(ctx context.Context, f func(*look.Letters) error) error {
	fleet, err := l.open(ctx, config.Fleet{Large: l.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	all, err := look.OpenLetters(ctx, fleet, l.Requests, l.Look)
	if err != nil {
		return err
	}
	return f(all)
}

// each calls f with every letter until f returns false or the time to look is
// over.
func (l letters) each(ctx context.Context, f func(look.Letter) (bool, error)) error {
	return l.with(ctx, func(all *look.Letters) error { return all.Each(ctx, f) })
}

// pick calls do with the chosen letters. It fails if a named letter was not
// seen.
func (l letters) pick(ctx context.Context, c look.Choice, do func(*look.Letters, look.Letter) error) error {
	return l.with(ctx, func(all *look.Letters) error {
		missed, err := all.Pick(ctx, c, func(found look.Letter) error { return do(all, found) })
		if err == nil && missed > 0 {
			err = fmt.Errorf("%d of the letters were not seen in %s: look longer with --look, or at the other queue with or without --requests", missed, l.Look)
		}
		return err
	})
}

type dlqList struct{ letters }

// Help is shown below the flags.
func (dlqList) Help() string {
	return `Examples:

  scriptfleet dlq list
  scriptfleet dlq list --requests --json | jq -r .reason`
}

func (c *dlqList) Run(ctx context.Context) error {
	found := []look.Letter{}
	err := c.each(ctx, func(l look.Letter) (bool, error) {
		found = append(found, l)
		return true, nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printLines(found, asIs[look.Letter])
	}
	if len(found) == 0 {
		fmt.Println(c.none())
		return nil
	}
	return printTable(func(w io.Writer) {
		row(w, "LETTER", "SINCE", "TENANT", "REQUEST", "TYPE", "REASON")
		for _, l := range found {
			row(w, l.ID, l.Since.Local().Format(time.DateTime), l.Tenant, l.Run, l.Type, l.Reason)
		}
	})
}

type dlqShow struct {
	letters
	ID string `arg:"" help:"The letter, as list names it."`
}

// Help is shown below the flags.
func (dlqShow) Help() string {
	return "Examples:\n\n  scriptfleet dlq show 8c1f… | jq .data.script\n  scriptfleet dlq show 8c1f… --requests"
}

func (c *dlqShow) Run(ctx context.Context) error {
	var found *look.Letter
	err := c.each(ctx, func(l look.Letter) (bool, error) {
		if l.ID == c.ID {
			found = &l
		}
		return found == nil, nil
	})
	switch {
	case err != nil:
		return err
	case found == nil:
		return fmt.Errorf("no dead letter %s was seen in %s: look longer with --look, or at the other queue with or without --requests", c.ID, c.Look)
	case c.JSON:
		return printJSON(found)
	}
	fmt.Fprintf(os.Stderr, "%s since %s: %s %s\n", found.ID, found.Since.Local().Format(time.DateTime), printable(found.Type), printable(found.Reason))
	return printWhole(found.Body + "\n")
}

type dlqRedrive struct {
	letters
	IDs []string `arg:"" optional:"" name:"letter" help:"Letters, as list names them."`
	All bool     `help:"All letters."`
}

// Help is shown below the flags.
func (dlqRedrive) Help() string {
	return `A letter is sent again once: one that comes back while the command runs stays where it is, and the command fails and names it. A run that has been answered for keeps its result, so it goes again under a new id: its own, with a suffix that is printed. Every other letter goes again as it is.

Examples:

  scriptfleet dlq redrive 8c1f…
  scriptfleet dlq redrive --all --requests`
}

func (c *dlqRedrive) Run(ctx context.Context) error {
	if c.All == (len(c.IDs) > 0) {
		return exitError{exitUsage, errors.New("name the letters to send again, or --all")}
	}
	sent := []look.Redriven{}
	bodies := map[string]bool{} // of what was sent again
	var back []string
	err := c.pick(ctx, look.Choice{IDs: c.IDs, All: c.All}, func(all *look.Letters, l look.Letter) error {
		if bodies[l.Body] {
			back = append(back, l.ID)
			return nil
		}
		r, err := all.Redrive(ctx, l)
		if err == nil {
			sent, bodies[l.Body] = append(sent, r), true
		}
		return err
	})
	if len(back) > 0 {
		err = errors.Join(err, fmt.Errorf("not sent again, as the same request was just sent and came back, or is a copy of it: %s. "+
			"Show one with: scriptfleet dlq show; if it can never be run, delete it with: scriptfleet dlq delete", strings.Join(back, ", ")))
	}
	switch {
	case c.JSON:
		return errors.Join(err, printLines(sent, asIs[look.Redriven]))
	case err == nil && len(sent) == 0:
		fmt.Println(c.none())
	}
	for _, r := range sent {
		fmt.Println(printable(fmt.Sprintf("%s sent again %s", r.Letter, r.Run)))
	}
	return err
}
