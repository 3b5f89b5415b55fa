package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
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

// letter is a dead letter for display.
type letter struct {
	ID       string    `json:"id"`
	Tenant   string    `json:"tenant,omitempty"`
	Run      string    `json:"run,omitempty"` // the id of its request
	Type     string    `json:"error_type,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since"`
	Body     string    `json:"body,omitempty"`
	delivery queue.Delivery
}

// each calls f with every letter until f returns false or the time to look is
// over. Letters that f does not delete become visible again afterwards.
func (l letters) each(ctx context.Context, f func(q queue.Queue, fleet *wire.Fleet, found letter) (bool, error)) error {
	fleet, err := l.open(ctx, config.Fleet{Large: l.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	open := fleet.PartitionDLQ
	if l.Requests {
		open = fleet.RequestsDLQ
	}
	q, err := open(ctx)
	if err != nil {
		return err
	}
	var seen []queue.Delivery
	defer func() { q.Extend(context.WithoutCancel(ctx), seen, 0) }()
	for deadline := time.Now().Add(l.Look); time.Now().Before(deadline); {
		ds, err := q.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: l.Look + 10*time.Second})
		if err != nil {
			return fmt.Errorf("look at %s: %w", q.Name(), err)
		}
		for _, d := range ds {
			seen = append(seen, d)
			if more, err := f(q, fleet, letterOf(d)); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func letterOf(d queue.Delivery) letter {
	l := letter{
		ID: d.MessageID, Type: d.Attributes[run.AttributeErrorType], Reason: d.Attributes[run.AttributeReason],
		Since: d.SentAt, Body: string(d.Body), delivery: d,
	}
	var event struct{ Tenant, ID string }
	if json.Unmarshal(d.Body, &event) == nil {
		l.Tenant, l.Run = event.Tenant, event.ID
	}
	if l.Reason == "" {
		l.Reason = "received too often; a worker answers for it within a minute"
	}
	return l
}

type dlqList struct{ letters }

// Help is shown below the flags.
func (dlqList) Help() string {
	return `Examples:

  scriptfleet dlq list
  scriptfleet dlq list --requests --json | jq -r .reason`
}

func (c *dlqList) Run(ctx context.Context) error {
	found := []letter{}
	err := c.each(ctx, func(_ queue.Queue, _ *wire.Fleet, l letter) (bool, error) {
		found = append(found, l)
		return true, nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printLines(found, asIs[letter])
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
	return "Examples:\n\n  scriptfleet dlq show 8c1f… | jq .data.script"
}

func (c *dlqShow) Run(ctx context.Context) error {
	var found *letter
	err := c.each(ctx, func(_ queue.Queue, _ *wire.Fleet, l letter) (bool, error) {
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

// redriven is redrive's output for one letter.
type redriven struct {
	Letter string `json:"letter"`
	Run    string `json:"run,omitempty"` // the id that it goes under
}

func (c *dlqRedrive) Run(ctx context.Context) error {
	if c.All == (len(c.IDs) > 0) {
		return exitError{exitUsage, errors.New("name the letters to send again, or --all")}
	}
	sent := []redriven{}
	bodies := map[string]bool{} // of what was sent again
	var back []string
	err := c.pick(ctx, choice{ids: c.IDs, all: c.All}, func(q queue.Queue, fleet *wire.Fleet, l letter) error {
		if bodies[l.Body] {
			back = append(back, l.ID)
			return nil
		}
		r, err := redrive(ctx, q, fleet, l)
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
		return errors.Join(err, printLines(sent, asIs[redriven]))
	case err == nil && len(sent) == 0:
		fmt.Println(c.none())
	}
	for _, r := range sent {
		fmt.Println(printable(fmt.Sprintf("%s sent again %s", r.Letter, r.Run)))
	}
	return err
}

// redrive sends a letter to the requests queue, and then deletes it.
func redrive(ctx context.Context, q queue.Queue, fleet *wire.Fleet, l letter) (redriven, error) {
	requests, err := fleet.Requests(ctx)
	if err != nil {
		return redriven{}, err
	}
	body, id := l.delivery.Body, ""
	if l.Type == "DeadLettered" {
		if body, id, err = withNewID(body); err != nil {
			return redriven{}, fmt.Errorf("letter %s: %w", l.ID, err)
		}
	}
	err = requests.Send(ctx, []queue.Message{{Body: body, Group: l.delivery.Group}})[0]
	if err == nil {
		err = q.Delete(ctx, []queue.Delivery{l.delivery})[0]
	}
	if err != nil {
		return redriven{}, fmt.Errorf("send letter %s again: %w", l.ID, err)
	}
	return redriven{Letter: l.ID, Run: id}, nil
}

// withNewID is the request with a new, unused id.
func withNewID(body []byte) (_ []byte, id string, err error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, "", fmt.Errorf("read the request: %w", err)
	}
	if err := json.Unmarshal(event["id"], &id); err != nil {
		return nil, "", fmt.Errorf("read the request's id: %w", err)
	}
	id += "-again-" + rand.Text()[:8]
	if event["id"], err = json.Marshal(id); err != nil {
		return nil, "", err
	}
	body, err = json.Marshal(event)
	return body, id, err
}
