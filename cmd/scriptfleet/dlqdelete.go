package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
)

// none is the message that no letter was seen.
func (l letters) none() string {
	other := "with --requests, those of the requests queue are looked at"
	if l.Requests {
		other = "without --requests, those of the partitions are looked at"
	}
	return fmt.Sprintf("No such dead letter was seen in %s; %s.", l.Look, other)
}

type dlqDelete struct {
	letters
	IDs    []string `arg:"" optional:"" name:"letter" help:"Letters, as list names them."`
	Type   string   `placeholder:"TYPE" help:"All letters with this type of reason, as list shows it."`
	All    bool     `help:"All letters."`
	DryRun bool     `help:"Only print which would be deleted."`
}

// Help is shown below the flags.
func (dlqDelete) Help() string {
	return `A letter that is deleted is gone for good, with its request: nothing answers for it any more.

Examples:

  scriptfleet dlq delete 8c1f…
  scriptfleet dlq delete --requests --type InvalidJSON --dry-run
  scriptfleet dlq delete --all --requests --look 30s`
}

// deletedLetter is delete's output for one letter.
type deletedLetter struct {
	Letter string `json:"letter"`
	Tenant string `json:"tenant,omitempty"`
	Type   string `json:"error_type,omitempty"`
}

func (c *dlqDelete) Run(ctx context.Context) error {
	ways := 0
	for _, given := range []bool{len(c.IDs) > 0, c.Type != "", c.All} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return exitError{exitUsage, errors.New("say which: name letters, or give --type or --all")}
	}
	gone := []deletedLetter{}
	err := c.pick(ctx, look.Choice{IDs: c.IDs, Type: c.Type, All: c.All}, func(all *look.Letters, l look.Letter) error {
		if !c.DryRun {
			if err := all.Delete(ctx, l); err != nil {
				return err
			}
		}
		gone = append(gone, deletedLetter{l.ID, l.Tenant, l.Type})
		return nil
	})
	if c.JSON {
		return errors.Join(err, printLines(gone, asIs[deletedLetter]))
	}
	did := "deleted"
	if c.DryRun {
		did = "would be deleted"
	}
	for _, l := range gone {
		fmt.Fprintln(os.Stdout, printable(fmt.Sprintf("%s %s: %s %s", l.Letter, did, l.Tenant, l.Type)))
	}
	if err == nil && len(gone) == 0 {
		fmt.Println(c.none())
	}
	return err
}
