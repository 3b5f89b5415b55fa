package wire

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// RunProcess is the whole life of a production binary: logs, clients, the part
// that it is for, the admin address, and a drain at the end. It may start before
// what it stands on does.
func RunProcess(ctx context.Context, name string, p config.Process, settings config.Fleet, part func(context.Context, *Fleet) (Running, error)) error {
	log, err := telemetry.NewLogger(p.LogLevel, p.LogFormat)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	log.Info(name+" starts", zap.String("version", version.String()), zap.String("handler", function.HandlerVersion()))
	cfg, err := AWS(ctx)
	if err != nil {
		return err
	}
	fleet, err := open(settings, cfg, log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	defer fleet.Close()
	start := newStarter(fleet, name)
	admin, err := telemetry.ListenAdmin(telemetry.AdminConfig{Addr: p.AdminAddr}, fleet.Registry, start.parts.States)
	if err != nil {
		return err
	}
	start.admin = admin.Addr
	defer func() { log.Info(name + " has stopped") }()
	err = service.Run(ctx, p.Drain, start.part(part), fleet.FollowTenants(), adminPart(admin, name))
	if start.failed != nil {
		return start.failed
	}
	return err
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
