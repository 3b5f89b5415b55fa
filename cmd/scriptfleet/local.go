package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

type localCommand struct {
	config.Fleet
	config.Process
	config.Dispatcher
	config.Worker

	AWSAddr   string `name:"aws-addr" default:"127.0.0.1:4566" help:"Loopback address of SQS, Lambda, STS and S3; port 0 takes a free one."`
	RedisAddr string `name:"redis-addr" default:"127.0.0.1:6399" help:"Loopback address of Redis; port 0 takes a free one."`
	Data      string `type:"path" help:"Folder that keeps queues and functions across restarts; in memory by default."`
	NoFleet   bool   `help:"Leave dispatcher and worker out, for separate processes."`
	EnvFile   string `type:"path" help:"Write the export lines to this file as well, once everything can be called."`
	JSON      bool   `name:"json" help:"Print the environment as one JSON object instead of export lines."`
}

// Help is shown below the flags.
func (localCommand) Help() string {
	return `On stdout stand the lines that point any other process at the stack, the AWS CLI included; everything else goes to stderr.

Examples:

  scriptfleet local                                    # stack, dispatcher and worker until Ctrl-C
  scriptfleet local --no-fleet --env-file fleet.env    # then: . ./fleet.env; dispatcher & worker
  scriptfleet local --data ~/.scriptfleet              # a small installation that survives restarts`
}

func (c *localCommand) Run(ctx context.Context) error {
	log, err := telemetry.NewLogger(c.LogLevel, c.LogFormat)
	if err != nil {
		return exitError{exitUsage, err}
	}
	// Taken from the start: a signal that comes during the start stops it too.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	stack, err := embedded.Start(ctx, embedded.Options{
		AWSAddr: c.AWSAddr, RedisAddr: c.RedisAddr, DataDir: c.Data, Log: log,
		Fleet: c.Fleet, Process: c.Process, Dispatcher: c.Dispatcher, Worker: c.Worker,
	})
	if err != nil {
		return err
	}
	defer func() { _ = stack.Close(context.WithoutCancel(ctx)) }()
	if err := c.publish(append(stack.Env(), stack.Settings()...)); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "scriptfleet local is up at %s; scripts run in: %s\n", stack.Endpoint(), sandbox.Probe())
	if c.NoFleet {
		return stack.FollowTenants(ctx)
	}
	if err := stack.StartFleet(ctx); err != nil {
		return err
	}
	return stack.Wait()
}

// publish says where the stack is.
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

// exportLines are lines that a shell takes as they are.
func exportLines(env []string) string {
	var b strings.Builder
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return b.String()
}

// writeFile writes a file that only its owner can read, whole or not at all.
func writeFile(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".env-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.WriteString(content); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
