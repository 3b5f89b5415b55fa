package wire

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/probe"
	"github.com/scriptfleet/scriptfleet/pkg/service"
)

// starter is a process whose part begins once all that it stands on has been
// tried: first what it is put together with, then the rest. So the order in which
// a fleet starts does not matter, and a process that could not do its work takes
// none. Until then it is not ready, and tells why.
type starter struct {
	fleet *Fleet
	name  string
	admin func() string // the admin address
	parts *probe.Prober
	ready atomic.Pointer[func() error]

	failed error // why the part could not be put together; to be read when it has ended
}

func newStarter(f *Fleet, name string) *starter {
	s := &starter{fleet: f, name: name, parts: probe.New(f.Log.Named(name), f.Registry)}
	s.notReady("it is starting")
	return s
}

// Ready is nil once the part takes work.
func (s *starter) Ready() error { return (*s.ready.Load())() }

// notReady is a process that takes no work, and why.
func (s *starter) notReady(why string) {
	ready := func() error { return errors.New(why) }
	s.ready.Store(&ready)
}

// part waits, and then puts the part together and runs it. What it stands on is
// tried until alive ends, which is after the drain.
func (s *starter) part(alive context.Context, assemble func(context.Context, *Fleet) (Running, error)) service.Part {
	return service.Part{Name: s.name, Run: func(intake, work context.Context) error {
		s.parts.Watch(alive, Own(s.name, s.Ready))
		if !s.await(alive, intake, s.fleet.reach()) {
			return nil // it is told to stop
		}
		running, err := s.assembled(intake, assemble)
		if err != nil {
			s.failed = err
			return err
		}
		if !s.await(alive, intake, running.Parts) {
			return nil
		}
		s.ready.Store(&running.Ready)
		defer context.AfterFunc(intake, func() { s.notReady("it is stopping, and takes no more work") })()
		s.fleet.Log.Info(s.name+" runs", zap.String("admin", s.admin()),
			zap.String("prefix", s.fleet.Settings.Prefix), zap.Int("partitions", s.fleet.Settings.Partitions))
		return running.Part.Run(intake, work)
	}}
}

func (s *starter) assembled(ctx context.Context, assemble func(context.Context, *Fleet) (Running, error)) (Running, error) {
	if err := s.fleet.createQueues(ctx); err != nil {
		return Running{}, err
	}
	return assemble(ctx, s.fleet)
}

// patience is how long a process waits before it says that it does.
const patience = time.Second

// await returns true once the parts are up, and false when the intake ends first.
func (s *starter) await(alive, intake context.Context, parts []probe.Part) bool {
	late := time.AfterFunc(patience, func() {
		s.fleet.Log.Warn(s.name+" waits for what it stands on; /readyz tells for what", zap.String("admin", s.admin()))
	})
	defer late.Stop()
	s.parts.Watch(alive, parts...)
	return s.parts.Await(intake, parts...)
}
