package inmemory

import (
	"context"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Running is a dispatcher or a worker that runs.
type Running struct {
	StopIntake, StopWork context.CancelFunc
	Over                 <-chan struct{} // closed once it has ended
}

// Run starts a part by its Run method; that it ends with an error fails the test.
func Run(t testing.TB, part func(intake, work context.Context) error) *Running {
	intake, stopIntake := context.WithCancel(context.Background())
	work, stopWork := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := part(intake, work); err != nil {
			t.Error(err)
		}
	}()
	return &Running{stopIntake, stopWork, over}
}

// Stop ends the part at once, and waits until it has ended.
func (r *Running) Stop() {
	r.StopIntake()
	r.StopWork()
	<-r.Over
}

// Policy is that of all parts in memory.
var Policy = func() *run.Policy {
	p, err := run.NewPolicy(run.PolicyConfig{Handler: "h1"})
	if err != nil {
		panic(err)
	}
	return p
}()
