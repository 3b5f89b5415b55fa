package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/cmd/internal/console"
	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/editfile"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

type localCommand struct {
	config.Fleet
	config.Process
	config.Dispatcher
	config.Worker

	AWSAddr   string `name:"aws-addr" env:"SCRIPTFLEET_AWS_ADDR" default:"127.0.0.1:4566" help:"Loopback address of SQS, Lambda, STS and S3; port 0 takes a free one."`
	RedisAddr string `name:"redis-addr" env:"SCRIPTFLEET_REDIS_ADDR" default:"127.0.0.1:6399" help:"Loopback address of Redis; port 0 takes a free one."`
	Data      string `type:"path" help:"Folder that keeps queues and functions across restarts; in memory by default."`
	roleFlags
	NoFleet     bool   `help:"Leave dispatcher and worker out, for separate processes."`
	ConsoleAddr string `placeholder:"ADDR" help:"Loopback address of the console; 127.0.0.1:4567 by default, or a free one if that is taken; none for no console."`
	EnvFile     string `type:"path" help:"Write the export lines to this file as well, once everything can be called; its owner alone can read it."`
	Detach      bool   `xor:"act" help:"Return once everything can be called, and leave the stack running; with --env-file, print nothing."`
	Stop        bool   `xor:"act" help:"Stop the stack that the environment names (SCRIPTFLEET_LOCAL_PID), and wait until it has."`
	LogFile     string `type:"path" help:"Where a stack that is detached logs; a file in the user's cache folder by default."`
	JSON        bool   `name:"json" help:"Print the environment as one JSON object instead of export lines."`
}

// roleFlags gives credentials' roles permissions in the embedded stack.
type roleFlags struct {
	Role []string `name:"role" sep:"none" placeholder:"NAME[=POLICY.json]" help:"Let the role of this credential do what an IAM policy allows in its own account of the embedded stack, everything without one. NAME is of the settings, or TENANT/NAME, or the role's ARN; without --tenants, the credential is made."`
}

func (r roleFlags) roles() (embedded.Roles, error) {
	roles, err := embedded.ParseRoles(r.Role)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return roles, nil
}

// defaultTenant is the tenant of runs that name none.
const defaultTenant = "local"

// Help is shown below the flags.
func (localCommand) Help() string {
	return `On stdout stand the lines that point any other process at the stack, the AWS CLI included; everything else goes to stderr. Without --data, Ctrl-C ends the stack at once; with it, runs that execute are let finish first, and a second Ctrl-C gives them up.

Examples:

  scriptfleet local                                    # stack, dispatcher and worker until Ctrl-C
  eval "$(scriptfleet local --detach)"                 # in the background; this shell's commands use it
  scriptfleet local --stop                             # and its end
  scriptfleet local --no-fleet --env-file fleet.env    # then, elsewhere: . ./fleet.env; dispatcher
  scriptfleet local --data ~/.scriptfleet              # a small installation that survives restarts
  scriptfleet local --role aws-prod                    # then: scriptfleet run list.py --credential aws-prod
  scriptfleet local --role aws-prod=policy.json --tenants tenants.json`
}

func (c *localCommand) Run(ctx context.Context) error {
	switch {
	case c.Stop:
		return stopLocal(ctx)
	case c.Detach:
		return c.detach()
	}
	log, err := telemetry.NewLogger(c.LogLevel, c.LogFormat)
	if err != nil {
		return exitError{exitUsage, err}
	}
	roles, err := c.roles()
	if err != nil {
		return err
	}
	// From here on a signal stops the command, also during the start.
	ctx, stop := interruptible(ctx)
	defer stop()

	var logs console.BuildLogs
	stack, err := embedded.Start(ctx, embedded.Options{
		Progress: logs.Add,
		AWSAddr:  c.AWSAddr, RedisAddr: c.RedisAddr, DataDir: c.Data, Roles: roles, Tenant: defaultTenant, Log: log,
		Fleet: c.Fleet, Process: c.Process, Dispatcher: c.Dispatcher, Worker: c.Worker,
	})
	if err != nil {
		return err
	}
	defer func() { _ = stack.Close(context.WithoutCancel(ctx)) }()
	page, err := listenLocal(ctx, c.ConsoleAddr, stack.Fleet, &logs, log)
	if err != nil {
		return err
	}
	if err := c.publish(slices.Concat(stack.Env(), stack.Settings(), consoleEnv(page), []string{fmt.Sprintf("%s=%d", localPID, os.Getpid())})); err != nil {
		return err
	}
	defer serving(ctx, page, log)()
	fmt.Fprintf(os.Stderr, "scriptfleet local is up at %s; Redis is %s; scripts run in: %s\n", stack.Endpoint(), stack.Redis(), sandbox.Probe())
	if page != nil {
		fmt.Fprintf(os.Stderr, "scriptfleet local: the console is at %s\n", page.URL())
	}
	stack.TellWhatIsMissing(ctx)
	if c.NoFleet {
		return service.WithFloor(func() error { return stack.ServeAlone(ctx) })
	}
	if err := stack.StartFleet(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.end(stack) })()
	return stack.Wait()
}

// end stops the fleet. Without --data the queues are in memory and end with the
// process, so it does not wait for runs in hand.
func (c *localCommand) end(stack *embedded.Stack) {
	n := stack.InHand()
	switch {
	case n == 0:
		fmt.Fprintln(os.Stderr, "scriptfleet local: stopping")
	case c.Data == "":
		fmt.Fprintf(os.Stderr, "scriptfleet local: stopping; %d runs in hand end with the stack, which keeps nothing without --data\n", n)
	default:
		fmt.Fprintf(os.Stderr, "scriptfleet local: stopping; waiting up to %s for %d runs in hand (Ctrl-C again puts them back)\n", c.Drain, n)
		stack.Drain()
		return
	}
	stack.GiveUp()
}

// publish prints the stack's environment.
func (c *localCommand) publish(env []string) error {
	lines := exportLines(env)
	if c.EnvFile != "" {
		if err := writeFile(c.EnvFile, lines); err != nil {
			return fmt.Errorf("write --env-file: %w", err)
		}
	}
	if !c.JSON {
		fmt.Print(lines)
		return nil
	}
	object := map[string]string{}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		object[name] = value
	}
	return json.NewEncoder(os.Stdout).Encode(object)
}

// exportLines are export commands for a shell.
func exportLines(env []string) string {
	var b strings.Builder
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return b.String()
}

// writeFile writes a file for its owner only, completely or not at all.
func writeFile(path, content string) error { return editfile.Replace(path, []byte(content), 0o600) }
