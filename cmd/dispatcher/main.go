// Command dispatcher takes run requests from the requests queue and places them
// on the partitions of their tenants.
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
	config.Dispatcher
}

func main() {
	var s settings
	if _, err := config.Parse(&s, os.Args[1:], os.Stdout, os.Exit, append(config.Options("dispatcher", description), kong.Vars{"version": wire.Version("dispatcher")})...); err != nil {
		fail(2, err)
	}
	ctx := context.Background()
	err := wire.RunProcess(ctx, "dispatcher", s.Process, s.Fleet, func(ctx context.Context, f *wire.Fleet) (wire.Running, error) {
		return f.Dispatcher(ctx, s.Process, s.Dispatcher)
	})
	if err != nil {
		fail(1, err)
	}
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "dispatcher:", err)
	os.Exit(code)
}

const description = `Takes run requests from the requests queue and places them on the partitions of their tenants.

Every flag is also an environment variable: --prefix is SCRIPTFLEET_PREFIX. The AWS SDK reads its own (AWS_REGION, AWS_ENDPOINT_URL, credentials).

Examples:

  . ./fleet.env; dispatcher                             # beside scriptfleet local --no-fleet --env-file fleet.env
  dispatcher --partitions 16 --admin-addr 0.0.0.0:9090  # in a cluster`
