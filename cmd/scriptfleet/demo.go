package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/console"
	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

type demoCommand struct {
	Keep     bool          `help:"Afterwards leave everything running until Ctrl-C, with a console to look at it and to run more."`
	JSON     bool          `name:"json" help:"Print every result event, one a line, instead of the table."`
	Wait     time.Duration `default:"5m" min:"1s" max:"1d" help:"How long to wait for the results."`
	LogLevel string        `default:"error" enum:"debug,info,warn,error" help:"Log level of the fleet, on stderr."`
}

// Help is shown below the flags.
func (demoCommand) Help() string {
	return `Starts the embedded stack with a dispatcher and a worker on free loopback ports, plays a batch of several tenants (a good script, one with a requirement, a failing one, a slow one, a burst of 50 runs of one new script), and shows each result. Exits 0 if every run ended as it should.

Examples:

  scriptfleet demo
  scriptfleet demo --keep               # then open the console, whose address it prints
  scriptfleet demo --json | jq .data.status`
}

func (c *demoCommand) Run(ctx context.Context) error {
	log, err := telemetry.NewLogger(c.LogLevel, "auto")
	if err != nil {
		return exitError{exitUsage, err}
	}
	ctx, stop := interruptible(ctx)
	defer stop()

	play := newPlay()
	line := progress.Stderr()
	err = c.play(ctx, log, line, play)
	line.Stop()
	return err
}

// tell prints the results.
func (c *demoCommand) tell(play *play) error {
	if c.JSON {
		if err := play.printEvents(os.Stdout); err != nil {
			return err
		}
	} else {
		var text strings.Builder
		play.printTable(&text)
		play.printSummary(&text)
		if err := printFitted(text.String()); err != nil {
			return err
		}
	}
	return play.check()
}

// play starts everything, sends the batch, collects the results and tells them.
func (c *demoCommand) play(ctx context.Context, log *zap.Logger, line *progress.Line, p *play) (err error) {
	line.Say("starting the embedded stack")
	defer func() { err = interrupted(ctx, err) }()
	var logs console.BuildLogs
	settings, err := c.settings()
	if err != nil {
		return err
	}
	if settings != "" {
		defer func() { _ = os.RemoveAll(filepath.Dir(settings)) }()
	}
	stack, err := embedded.Start(ctx, embedded.Options{
		Progress:   logs.Add,
		Fleet:      config.Fleet{Named: config.Named{Prefix: "scriptfleet"}, Partitioned: config.Partitioned{Partitions: 4}, Tenants: config.Tenants{TenantsFile: settings}, MaxTimeout: 60, MemoryMB: 256, DefaultRuntime: "python3.13"},
		Process:    config.Process{PollWait: time.Second, Drain: 5 * time.Second},
		Dispatcher: config.Dispatcher{Pollers: 4},
		Worker: config.Worker{
			Concurrency: 16, MaxBuilds: 4, MaxParked: 1000, MaxParkedMB: 256,
			Visibility: 24 * time.Second, MaxAttempts: 3, GiveUpAfter: time.Hour,
		},
		Log: log,
	})
	if err != nil {
		return err
	}
	if err := stack.StartFleet(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(err, stack.Close(ctx))
	}
	defer func() { err = errors.Join(err, stack.Abandon(ctx)) }()
	defer context.AfterFunc(ctx, stack.EndPolls)()
	cl, err := stack.Client(ctx)
	if err != nil {
		return err
	}
	line.Print(os.Stderr, "The embedded stack is up; scripts run in: %s", sandbox.Probe())
	addr := "none"
	if c.Keep {
		addr = ""
	}
	page, err := listenLocal(ctx, addr, stack.Fleet, &logs, log)
	if err != nil {
		return err
	}
	defer serving(ctx, page, log)()
	if page != nil {
		line.Print(os.Stderr, "The console is at %s", page.URL())
	}
	for _, err := range cl.Send(ctx, p.requests()...) {
		if err != nil {
			return err
		}
	}
	line.Print(os.Stderr, "Sent %d requests of %d tenants. The first run of a script waits for its function to be built.\n", p.sent, len(p.acts))
	if err := c.collect(ctx, cl, line, p); err != nil {
		return err
	}
	line.Stop()
	err = c.tell(p)
	if page != nil {
		fmt.Fprintf(os.Stderr, "\nEverything goes on until Ctrl-C; the console is at %s\n", page.URL())
		<-ctx.Done()
		return nil
	}
	return err
}

// settings is the file of the tenants' settings that a console changes; empty
// where there is none.
func (c *demoCommand) settings() (string, error) {
	if !c.Keep {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "scriptfleet-demo-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "tenants.json")
	return file, os.WriteFile(file, []byte("{}\n"), 0o600)
}

func (c *demoCommand) collect(ctx context.Context, cl *client.Client, line *progress.Line, p *play) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	return p.collect(ctx, cl, line)
}

func (p *play) collect(ctx context.Context, cl *client.Client, line *progress.Line) error {
	consuming, stop := context.WithCancel(ctx)
	defer stop()
	p.progress(line)
	err := cl.Consume(consuming, func(_ context.Context, r client.Received) error {
		p.take(r.Result)
		p.progress(line)
		if p.complete() {
			stop()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !p.complete() {
		return fmt.Errorf("%d of %d results have come: %w", p.received, p.sent, context.Cause(ctx))
	}
	return nil
}

func (p *play) printEvents(w *os.File) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, a := range p.acts {
		for _, r := range a.results {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("write a result: %w", err)
			}
		}
	}
	return nil
}

// expected tells whether a result is the expected one.
func (a *act) expected(r run.Result) bool { return r.Data.Status == a.want }
