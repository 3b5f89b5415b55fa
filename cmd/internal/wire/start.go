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

// starter starts a process's part once all its dependencies answer: first those
// needed to assemble it, then the rest. So the processes of a fleet can start
// in any order, and a process that could not do its work takes none. Until then
// it is not ready, with the reason.
type starter struct {
	fleet *Fleet
	name  string
	admin func() string // returns the admin address
	parts *probe.Prober
	ready atomic.Pointer[func() error]

	failed error // why the part could not be assembled; valid once the part has ended
}

func newStarter(f *Fleet, name string) *starter {
	s := &starter{fleet: f, name: name, parts: probe.New(f.Log.Named(name), f.Registry)}
	f.parts, f.own = s.parts, name
	s.notReady("it is starting")
	return s
}

// Ready returns nil once the part takes work, and before that the reason why
// not.
func (s *starter) Ready() error { return (*s.ready.Load())() }

// notReady sets the reason why the process takes no work.
func (s *starter) notReady(why string) {
	ready := func() error { return errors.New(why) }
	s.ready.Store(&ready)
}

// part waits for the dependencies, and then assembles the part and runs it. The
// dependencies are probed until alive ends, which is after the drain.
func (s *starter) part(alive context.Context, assemble func(context.Context, *Fleet) (Running, error)) service.Part {
	return service.Part{Name: s.name, Run: func(intake, work context.Context) error {
		s.parts.Watch(alive, Own(s.name, s.Ready))
		if !s.await(alive, intake, s.fleet.reach()) {
			return nil // the process was told to stop
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

// patience is how long a process waits before it logs that it waits.
const patience = time.Second

// await returns true once the parts answer, and false if the intake ends first.
func (s *starter) await(alive, intake context.Context, parts []probe.Part) bool {
	late := time.AfterFunc(patience, func() {
		s.fleet.Log.Warn(s.name+" waits for what it stands on; /readyz tells for what", zap.String("admin", s.admin()))
	})
	defer late.Stop()
	s.parts.Watch(alive, parts...)
	return s.parts.Await(intake, parts...)
}
