package wire

import (
	"context"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// RunProcess runs a production binary: logs, clients, the binary's part, the
// admin server, and at the end a drain, during which the admin server still
// answers. The process may start before its dependencies.
func RunProcess(ctx context.Context, name string, p config.Process, settings config.Fleet, part func(context.Context, *Fleet) (Running, error)) error {
	service.OutliveReaders()
	log, err := telemetry.NewLogger(p.LogLevel, p.LogFormat)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	// What libraries say by themselves, such as the HTTP server of the admin address.
	defer zap.RedirectStdLog(log.Named("library"))()
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
	defer fleet.Trace(ctx, "scriptfleet-"+name)()
	start := newStarter(fleet, name)
	admin, err := telemetry.ListenAdmin(telemetry.AdminConfig{Addr: p.AdminAddr}, fleet.Registry, start.parts.States)
	if err != nil {
		return err
	}
	start.admin = admin.Addr
	defer func() { log.Info(name + " has stopped") }()
	alive, end := context.WithCancel(ctx)
	served := make(chan struct{})
	defer func() { end(); <-served }()
	go func() {
		defer close(served)
		if err := admin.Run(alive); err != nil {
			log.Error("metrics, health and readiness are gone; restart this process", zap.Error(err))
		}
	}()
	err = service.Run(ctx, p.Drain, start.part(alive, part), fleet.FollowTenants(), fleet.FollowRuntimes())
	if start.failed != nil {
		return start.failed
	}
	return err
}
