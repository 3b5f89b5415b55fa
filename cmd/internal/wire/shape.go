package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
	"github.com/scriptfleet/scriptfleet/pkg/shape/redisshape"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// Shape is where the fleet's processes record the settings with which they run.
func (f *Fleet) Shape() shape.Board { return redisshape.New(f.redis, f.Settings.Prefix) }

// Process is the record of a process with this one's settings.
func (f *Fleet) Process(role shape.Role, name string) shape.Process {
	return shape.Process{
		Role: role, Name: name, Partitions: f.Settings.Partitions, Bucket: f.Settings.Bucket,
		Version: function.HandlerVersion(), Release: version.String(),
	}
}

// watch watches how a process with this one's settings fits the fleet. A worker
// says how many turns it has.
func (f *Fleet) watch(role shape.Role, name string, turns int) *shape.Watch {
	p := f.Process(role, name)
	p.Turns, p.Started = turns, time.Now().Unix()
	return shape.New(p, f.Shape(), f.Log.Named(string(role)))
}

// announced wraps a part: while it runs, its record is in Shape, and it is not
// ready while its settings do not fit those of the others.
func (f *Fleet) announced(watch *shape.Watch, r Running) Running {
	run, ready := r.Part.Run, r.Ready
	watch.Tell(func() error { return errors.Join(ready(), f.down()) })
	r.Part.Run = func(intake, work context.Context) error {
		watching, stop := context.WithCancel(context.WithoutCancel(work))
		var wg sync.WaitGroup
		wg.Go(func() { watch.Run(watching) })
		defer wg.Wait()
		defer stop()
		return run(intake, work)
	}
	r.Ready = func() error { return errors.Join(ready(), watch.Ready()) }
	return r
}

// down is an error with the parts that the process stands on and that are down,
// or nil.
func (f *Fleet) down() error {
	if f.parts == nil {
		return nil
	}
	var all []error
	for _, s := range f.parts.States() {
		if s.Holds() && s.Part != f.own {
			all = append(all, fmt.Errorf("%s: %w", s.Part, s.Reason))
		}
	}
	return errors.Join(all...)
}
