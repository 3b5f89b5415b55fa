package inmemory

import (
	"context"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Running is a running dispatcher or worker.
type Running struct {
	StopIntake, StopWork context.CancelFunc
	Over                 <-chan struct{} // closed once it has ended
}

// Run starts a part by its Run method. If it ends with an error, the test
// fails.
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

// Stop stops the part at once, and waits until it has ended.
func (r *Running) Stop() {
	r.StopIntake()
	r.StopWork()
	<-r.Over
}

// Policy is the request policy of all tests in memory.
var Policy = func() *run.Policy {
	p, err := run.NewPolicy(run.PolicyConfig{Handler: "h1"})
	if err != nil {
		panic(err)
	}
	return p
}()
