package wire

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

// RunProcess is the whole life of a production binary: logs, clients, the part
// that it is for, the admin address, and a drain at the end.
func RunProcess(ctx context.Context, name string, p config.Process, settings config.Fleet, part func(context.Context, *Fleet) (Running, error)) error {
	log, err := telemetry.NewLogger(p.LogLevel, p.LogFormat)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	cfg, err := AWS(ctx)
	if err != nil {
		return err
	}
	fleet, err := Open(ctx, settings, cfg, log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	defer fleet.Close()
	running, err := part(ctx, fleet)
	if err != nil {
		return err
	}
	admin, err := telemetry.ListenAdmin(telemetry.AdminConfig{Addr: p.AdminAddr}, fleet.Registry, running.Ready)
	if err != nil {
		return err
	}
	log.Info(name+" runs", zap.String("admin", admin.Addr()), zap.String("prefix", settings.Prefix), zap.Int("partitions", settings.Partitions))
	defer func() { log.Info(name + " has stopped") }()
	return service.Run(ctx, p.Drain, running.Part, fleet.FollowTenants(), adminPart(admin, running.Part.Name))
}

// adminPart serves until the intake ends; the drain needs no audience.
func adminPart(admin *telemetry.Admin, of string) service.Part {
	return service.Part{Name: "admin address of the " + of, Run: func(intake, _ context.Context) error {
		if err := admin.Run(intake); err != nil {
			return errors.Join(errors.New("choose another --admin-addr"), err)
		}
		return nil
	}}
}
