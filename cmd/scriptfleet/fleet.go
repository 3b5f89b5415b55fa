package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

// operator has the flags of all commands on a running fleet. Each command adds
// only the flags that it uses.
type operator struct {
	config.Named
	JSON bool `name:"json" help:"Print JSON, one object a line (scriptfleet schema)."`
}

// open connects to the fleet of the AWS SDK's configuration: environment,
// files, or the machine's own role.
func (o operator) open(ctx context.Context, settings config.Fleet) (*wire.Fleet, error) {
	settings.Named = o.Named
	log, err := telemetry.NewLogger("error", "auto")
	if err != nil {
		return nil, err
	}
	cfg, err := wire.AWS(ctx)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return wire.Dial(settings, cfg, log, prometheus.NewRegistry())
}

// openLedger is open for commands that also use Redis.
func (o operator) openLedger(ctx context.Context, settings config.Fleet) (*wire.Fleet, error) {
	if settings.RedisURL == "" {
		return nil, exitError{exitUsage, wire.ErrNoRedis}
	}
	return o.open(ctx, settings)
}

// configured tells whether the environment names a fleet.
func configured(f config.Fleet) bool {
	return f.RedisURL != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
}

func dial(ctx context.Context, f config.Fleet, log *zap.Logger) (*wire.Fleet, error) {
	cfg, err := wire.AWS(ctx)
	if err != nil {
		return nil, err
	}
	return wire.Open(ctx, f, cfg, log, prometheus.NewRegistry())
}

// connect connects to the fleet that the environment names. If it names none,
// connect starts an embedded stack with options o. It prints which. stop ends
// what connect has started.
func connect(ctx context.Context, o embedded.Options, line *progress.Line) (_ *wire.Fleet, stop func(), err error) {
	if configured(o.Fleet) {
		f, err := dial(ctx, o.Fleet, o.Log)
		if err != nil {
			return nil, nil, err
		}
		line.Print(os.Stderr, "scriptfleet: the fleet %s", f.Where())
		return f, f.Close, nil
	}
	line.Print(os.Stderr, "scriptfleet: an embedded stack, started for this run alone")
	line.Say("starting an embedded stack")
	stack, err := embedded.Start(ctx, o)
	if err != nil {
		return nil, nil, interrupted(ctx, err)
	}
	if err := stack.StartFleet(context.WithoutCancel(ctx)); err != nil {
		return nil, nil, errors.Join(err, stack.Close(ctx))
	}
	context.AfterFunc(ctx, stack.EndPolls)
	return stack.Fleet, func() { _ = stack.Abandon(ctx) }, nil
}

// printJSON prints one object on one line.
func printJSON(v any) error { return printLines([]any{v}, asIs[any]) }

// printLines prints one object a line, as the published schemas describe them.
func printLines[T, S any](all []T, shown func(T) S) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	for _, one := range all {
		if err := enc.Encode(shown(one)); err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
	}
	return nil
}

func asIs[T any](v T) T { return v }
