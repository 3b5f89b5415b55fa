package embedded

import (
	"context"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/probe"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

// ServeAlone serves the admin address of a stack without a fleet, and applies
// changes of the tenants' settings, until ctx ends.
func (s *Stack) ServeAlone(ctx context.Context) error {
	parts, err := s.admin()
	if err != nil {
		return err
	}
	return service.Run(ctx, s.options.Process.Drain, append(parts, s.Fleet.FollowTenants())...)
}

// admin is the part that serves this process's admin address, or none if no
// address is set. The process is ready while the stack answers and all parts in
// ready are up.
func (s *Stack) admin(ready ...probe.Part) ([]service.Part, error) {
	addr := s.options.Process.AdminAddr
	if addr == "" {
		return nil, nil
	}
	user, password := s.Key() // scripts can reach every loopback address
	own := probe.New(s.options.Log, s.registry)
	admin, err := telemetry.ListenAdmin(telemetry.AdminConfig{Addr: addr, User: user, Password: password}, s.registry, own.States)
	if err != nil {
		return nil, err
	}
	s.options.Log.Info("admin address", zap.String("admin", admin.Addr()))
	return []service.Part{{Name: "admin", Run: func(intake, _ context.Context) error {
		own.Watch(intake, append(s.Fleet.Basics(), ready...)...)
		return admin.Run(intake)
	}}}, nil
}
