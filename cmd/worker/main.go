// Command worker takes runs from the partitions, builds their scripts once,
// invokes them, and publishes their results.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
)

type settings struct {
	Version kong.VersionFlag `help:"Print the version and end."`
	config.Fleet
	config.Process
	config.Worker
}

func main() {
	var s settings
	if _, err := config.Parse(&s, os.Args[1:], os.Stdout, os.Exit, append(config.Options("worker", description), kong.Vars{"version": wire.Version("worker")})...); err != nil {
		fail(2, err)
	}
	ctx := context.Background()
	err := wire.RunProcess(ctx, "worker", s.Process, s.Fleet, func(ctx context.Context, f *wire.Fleet) (wire.Running, error) {
		return f.Worker(ctx, s.Process, s.Worker, nil)
	})
	if wire.Misconfigured(err) {
		fail(2, err)
	}
	if err != nil {
		fail(1, err)
	}
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "worker:", err)
	os.Exit(code)
}

const description = `Takes runs from the partitions, builds their scripts once, invokes them, and publishes their results.

Every flag is also an environment variable: --concurrency is SCRIPTFLEET_CONCURRENCY. The AWS SDK reads its own (AWS_REGION, AWS_ENDPOINT_URL, credentials).

Examples:

  . ./fleet.env; worker                   # beside scriptfleet local --no-fleet --env-file fleet.env
  worker --concurrency 64 --max-builds 8  # in a cluster`
