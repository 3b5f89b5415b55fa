package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/console"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

type consoleCommand struct {
	config.Fleet

	Addr         string   `default:"127.0.0.1:4567" help:"Address to listen on; port 0 takes a free one."`
	Host         []string `placeholder:"HOST" help:"Host under which browsers reach it, besides those of loopback; once for each."`
	AllowRuns    bool     `help:"Let those who reach it start runs, for any tenant and with any of its credentials."`
	AllowChanges bool     `help:"Let those who reach it pause tenants, redrive dead letters and cancel runs."`
	UserHeader   string   `placeholder:"NAME" help:"Header in which a proxy in front names who is logged in. Only the proxy may be able to reach the address."`
	Results      string   `placeholder:"QUEUE" help:"Queue to read the results of its own runs from: the fleet's by default; none leaves results to their consumer."`
	LogLevel     string   `default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error; every change is logged at info."`
	LogFormat    string   `default:"auto" enum:"auto,json,console" help:"auto, json or console."`
	JSON         bool     `name:"json" help:"Print the address as one JSON object (scriptfleet schema)."`
}

// Help is shown below the flags.
func (consoleCommand) Help() string {
	return `Serves pages in which authors try scripts and operators look at the fleet: runs and where each one is, the fleet on one screen, dead letters, tenants. It is a client of the fleet, which does not know it. Without --allow-runs and --allow-changes it changes nothing.

The address that it prints has a key, which the browser keeps as a cookie; without the key nothing is shown. With --user-header there is no key: a proxy logs people in, and each change is logged with the person that the header names.

The output of a run comes by the results queue, which belongs to the stories' consumer. For a run that was started here, the console receives from that queue once the result is there, and puts the results of others back at once; if the other consumer was faster, the page shows the status and the times alone. --results names a queue to which results are copied.

Examples:

  scriptfleet console
  scriptfleet console --allow-runs --allow-changes --tenants tenants.json
  scriptfleet console --addr 0.0.0.0:8080 --host console.example.com --user-header X-Forwarded-User --results none
  scriptfleet console --addr 127.0.0.1:0 --json | jq -r .url`
}

// served is what console prints with --json.
type served struct {
	Address      string `json:"address"`
	URL          string `json:"url" about:"What to open: with the key, where one is needed."`
	AllowRuns    bool   `json:"allow_runs"`
	AllowChanges bool   `json:"allow_changes"`
}

func (c *consoleCommand) Run(ctx context.Context) error {
	log, err := telemetry.NewLogger(c.LogLevel, c.LogFormat)
	if err != nil {
		return exitError{exitUsage, err}
	}
	if c.RedisURL == "" {
		return exitError{exitUsage, wire.ErrNoRedis}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	fleet, err := dial(ctx, c.Fleet, log)
	if err != nil {
		return err
	}
	defer fleet.Close()
	cfg := console.Config{
		Addr: c.Addr, Hosts: c.Host, AllowRuns: c.AllowRuns, AllowChanges: c.AllowChanges, UserHeader: c.UserHeader, Results: c.Results,
	}
	if err := cfg.Check(); err != nil {
		return exitError{exitUsage, err}
	}
	served, err := console.Listen(ctx, cfg, console.Deps{Fleet: fleet, Log: log})
	if err != nil {
		return err
	}
	if err := c.tell(fleet, served); err != nil {
		return err
	}
	return service.Run(ctx, 0, consolePart(served), fleet.FollowTenants())
}

func (c *consoleCommand) tell(fleet *wire.Fleet, s *console.Console) error {
	if c.JSON {
		return printJSON(served{s.Addr(), s.URL(), c.AllowRuns, c.AllowChanges})
	}
	_, err := fmt.Printf("The console of %s is at %s\n", fleet.Where(), s.URL())
	return err
}

// consolePart is the part of a process that serves a console.
func consolePart(c *console.Console) service.Part {
	return service.Part{Name: "console", Run: func(intake, _ context.Context) error { return c.Run(intake) }}
}

// localConsole is the address that the console of an embedded stack takes if it is
// free, and else a free one.
const localConsole = "127.0.0.1:4567"

// listenLocal opens the console of an embedded stack: those who have its key
// started the stack, and may do everything. An address of none is no console.
func listenLocal(ctx context.Context, addr string, fleet *wire.Fleet, builds *console.BuildLogs, log *zap.Logger) (*console.Console, error) {
	if addr == "none" {
		return nil, nil
	}
	cfg := console.Config{Addr: addr, AllowRuns: true, AllowChanges: true}
	if addr == "" {
		cfg.Addr = localConsole
	}
	deps := console.Deps{Fleet: fleet, Log: log, Builds: builds}
	c, err := console.Listen(ctx, cfg, deps)
	if addr == "" && errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(localConsole)
		cfg.Addr = net.JoinHostPort(host, "0")
		c, err = console.Listen(ctx, cfg, deps)
	}
	return c, err
}

// consoleURL is the variable with the address of the environment's console.
const consoleURL = "SCRIPTFLEET_CONSOLE"

// consoleEnv is the console's part of an environment.
func consoleEnv(c *console.Console) []string {
	if c == nil {
		return nil
	}
	return []string{consoleURL + "=" + c.URL()}
}

// serving serves a console, if there is one, until ctx ends or stop is called,
// which waits for its end. A console that fails is logged: the stack goes on.
func serving(ctx context.Context, c *console.Console, log *zap.Logger) (stop func()) {
	if c == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go panics.Guard{Log: log}.Catch(func() {
		defer close(ended)
		if err := c.Run(ctx); err != nil {
			log.Error("the console has ended", zap.Error(err))
		}
	}, nil)
	return func() { cancel(); <-ended }
}
