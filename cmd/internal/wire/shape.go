package wire

import (
	"context"
	"errors"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
	"github.com/scriptfleet/scriptfleet/pkg/shape/redisshape"
)

// Shape is where the fleet's processes record the settings with which they run.
func (f *Fleet) Shape() shape.Board { return redisshape.New(f.redis, f.Settings.Prefix) }

// Process is the record of a process with this one's settings.
func (f *Fleet) Process(role shape.Role, name string) shape.Process {
	return shape.Process{
		Role: role, Name: name, Partitions: f.Settings.Partitions, Bucket: f.Settings.Bucket,
		Version: function.HandlerVersion(),
	}
}

// watch watches how a process with this one's settings fits the fleet. A worker
// says how many turns it has.
func (f *Fleet) watch(role shape.Role, name string, turns int) *shape.Watch {
	p := f.Process(role, name)
	p.Turns = turns
	return shape.New(p, f.Shape(), f.Log.Named(string(role)))
}

// announced wraps a part: while it runs, its record is in Shape, and it is not
// ready while its settings do not fit those of the others.
func announced(watch *shape.Watch, r Running) Running {
	run, ready := r.Part.Run, r.Ready
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
