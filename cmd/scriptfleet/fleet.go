package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

// operator is what commands on a running fleet have in common.
type operator struct {
	config.Fleet
	JSON bool `name:"json" help:"Print JSON."`
}

var errNoFleet = errors.New("no fleet is configured: set AWS_ENDPOINT_URL and REDIS_URL, for example by the lines that scriptfleet local prints")

// open connects to the fleet that the environment names.
func (o operator) open(ctx context.Context) (*wire.Fleet, error) {
	if !configured(o.Fleet) {
		return nil, exitError{exitUsage, errNoFleet}
	}
	cfg, err := wire.AWS(ctx)
	if err != nil {
		return nil, err
	}
	log, err := telemetry.NewLogger("error", "auto")
	if err != nil {
		return nil, err
	}
	return wire.Open(ctx, o.Fleet, cfg, log, prometheus.NewRegistry())
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}
