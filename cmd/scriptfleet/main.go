// Command scriptfleet is the developer's and the operator's command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
)

// commands are the subcommands; each has its own file.
type commands struct {
	Version kong.VersionFlag `help:"Print the version and end."`

	Demo        demoCommand        `cmd:"" help:"Start everything on this machine, play a batch of several tenants, show what becomes of it."`
	Local       localCommand       `cmd:"" help:"Run the embedded stack until Ctrl-C, and print what points other processes at it."`
	Run         runCommand         `cmd:"" help:"Run one script and print what main returned."`
	Replay      replayCommand      `cmd:"" help:"Send a batch of requests at a rate; report latency, builds, and what was lost or doubled."`
	Record      recordCommand      `cmd:"" help:"Write a batch for replay, from a queue or from saved results."`
	Report      reportCommand      `cmd:"" help:"Show the report of a replay again, beside another, or as a page."`
	Status      statusCommand      `cmd:"" help:"Show the fleet's processes, queues and backlog on one screen."`
	Runs        runsCommand        `cmd:"" help:"List recent runs, and show where the time of one went."`
	Explain     explainCommand     `cmd:"" help:"Tell where a run is, and what it waits for."`
	DLQ         dlqCommand         `cmd:"" name:"dlq" help:"List, show, redrive and delete dead letters."`
	Functions   functionsCommand   `cmd:"" help:"List, build ahead and remove functions."`
	Credentials credentialsCommand `cmd:"" help:"Add, list, check and remove tenants' AWS roles."`
	Tenants     tenantsCommand     `cmd:"" help:"List tenants with their limits and use; pause and resume one."`
	Packages    packagesCommand    `cmd:"" help:"List who uses a package; deny and allow packages."`
	Runtimes    runtimesCommand    `cmd:"" help:"List the runtimes that requests may name."`
	Scripts     scriptsCommand     `cmd:"" help:"Push, list, show, promote, share and remove scripts of the registry."`
	Console     consoleCommand     `cmd:"" help:"Serve pages to try scripts, and to look at the fleet."`
	Schema      schemaCommand      `cmd:"" help:"Print the JSON Schema of what a command prints with --json."`
	Completion  completionCommand  `cmd:"" help:"Print what completes the commands in bash, zsh or fish."`
	Check       checkCommand       `cmd:"" help:"Check the books: every accepted run has a result, is in flight, or is a dead letter."`
}

// Exit codes besides 0 (success) and those of run.
const (
	exitFailed = 1
	exitUsage  = 2
)

// exitError ends the command with an exit code; its error, if any, is printed.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return fmt.Sprint(e.err) }

func main() {
	os.Exit(execute(context.Background(), os.Args[1:]))
}

func execute(ctx context.Context, args []string) int {
	var c commands
	exited := -1
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := config.Parse(&c, args, os.Stdout, func(code int) { exited = code },
		append(config.Options("scriptfleet", description), kong.BindTo(ctx, (*context.Context)(nil)), kong.Vars{"version": wire.Version("scriptfleet")})...)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scriptfleet:", err)
		return exitUsage
	}
	err = parsed.Run()
	if err == nil {
		return 0
	}
	exit := exitError{exitFailed, err}
	errors.As(err, &exit)
	if wire.Misconfigured(exit.err) {
		exit.code = exitUsage
	}
	if exit.err != nil {
		fmt.Fprintln(os.Stderr, "scriptfleet:", printableLines(gone(exit.err).Error()))
	}
	return exit.code
}

const description = `Runs scripts for many tenants: the developer's and operator's command.

Without endpoints in the environment (AWS_ENDPOINT_URL, REDIS_URL), run and demo start an embedded stack of their own. Settings, such as --prefix, are environment variables too (SCRIPTFLEET_PREFIX), which the help of each command names.

Examples:

  scriptfleet demo                                        # see it work
  scriptfleet run hello.py --input '{"array_length": 5}'  # one run, its output on stdout
  scriptfleet local --no-fleet --env-file fleet.env       # endpoints for separate processes`
