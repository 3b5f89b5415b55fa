package worker

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// noteAfter is how long a build may take before it is noted for explain.
const noteAfter = 500 * time.Millisecond

// build returns once there is a function that executes the script. A built one is
// known without a round trip, and a new script of a known env may be executed by
// an env runner. Otherwise the delivery is parked and takes no turn.
func (w *Worker) build(h *held) error {
	if h.hasTurn() {
		return nil // known when it got its turn
	}
	if built, ok := w.find(h); ok {
		h.use(built)
		return nil
	}
	h.timeline.Mark(run.StageQueue, time.Now())
	if !w.inflight.park(h) {
		return errParked
	}
	defer w.inflight.unpark(h)
	priority := builds.ForRun
	if h.run.Type == run.TypeSaved {
		priority = builds.Ahead
	}
	asked := h.run.Script // use may replace the run's while its build is told of
	var waited atomic.Bool
	defer waited.Store(true)
	telling := time.AfterFunc(noteAfter, func() {
		w.notes.add(func() {
			if !waited.Load() {
				w.guard.Catch(func() { w.note(h, w.whoBuilds(asked)) }, h.fields)
			}
		})
	})
	defer telling.Stop()
	built, err := w.deps.Builds.Ensure(h.trace.In(h.wait), h.run.Script, priority)

	var failed *builds.FailedError
	if errors.As(err, &failed) {
		built = failed.Built
	}
	h.use(built)
	if err == nil {
		w.buildRunner(asked, built.Outcome)
	}
	if built.Led > 0 {
		h.timeline.Spend(run.StageBuildWait, built.Waited, time.Now())
		h.timeline.Mark(run.StageBuild, time.Now())
		w.turns.charge(h.run.Tenant, built.Led)
	} else {
		h.timeline.Mark(run.StageBuildWait, time.Now())
	}
	return err
}

// use notes what was built for the run.
func (h *held) use(built builds.Built) {
	h.built = built
	if built.Script.Hash != "" {
		h.run.Script = built.Script
	}
}

func (w *Worker) whoBuilds(s run.Script) string {
	switch leader, busy := w.deps.Builds.Busy(s.Hash); {
	case leader != "":
		return fmt.Sprintf("the build of script %s, which worker %s leads", s.Hash, leader)
	case busy:
		return fmt.Sprintf("the build of script %s, which waits for a place among the builds of worker %s", s.Hash, w.cfg.Name)
	}
	return fmt.Sprintf("the build of script %s", s.Hash)
}
