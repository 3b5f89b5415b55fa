package worker

import (
	"context"
	"slices"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// An env runner executes any script of its tenant and env, which it gets in the
// payload. So a run whose script has no function yet need not wait: it is
// bridged. It has the same claim, turn, slots, attempt and verdict as any run.
//
//	the function is known here ──▶ it is invoked
//	else the records are read ──▶ function built ──▶ it is invoked
//	                          ──▶ runner built ──▶ the run is bridged
//	                          ──▶ neither ──▶ the run waits for its function; the runner is built behind it
//
// A script that was bridged often enough has its function built behind the run.
//
// A runner that does not execute the script (it is missing, throttled, or does
// not take it) is no error of the run: the attempt is taken back, and the run
// waits for its script's own function.

// find returns what executes the run at once: its script's function, or an env
// runner. A known function costs no round trip. Bridge is asked once for each
// delivery.
func (w *Worker) find(h *held) (builds.Built, bool) {
	if built, ok := w.deps.Builds.Known(h.run.Script); ok {
		return built, true
	}
	if !h.asked && w.mayBridge(h) {
		h.asked = true
		if runner, ok := w.deps.Policy.Runner(h.run.Script); ok {
			if built, ok := w.deps.Builds.Bridge(h.wait, h.run.Script, runner); ok {
				h.bridge = &built
			}
		}
	}
	if h.bridge == nil || h.own {
		return builds.Built{}, false
	}
	return *h.bridge, true
}

// mayBridge tells whether an env runner may execute the run: the operator allows
// it for the fleet and for the tenant, and for a sealed script its owner does.
func (w *Worker) mayBridge(h *held) bool {
	if h.own || h.refused != nil || h.run.Type == run.TypeSaved || !w.hasRunners(h.run.Tenant) {
		return false
	}
	return !h.run.Script.Sealed || w.deps.Tenants.Limits(h.run.Tenant).SealedInRunner
}

func (w *Worker) hasRunners(tenant string) bool {
	return w.cfg.EnvRunner && !w.deps.Tenants.Limits(tenant).NoRunner
}

// buildRunner has the env runner of a script built, once a run has waited for the
// script's own function: the next new script of the env need not wait.
func (w *Worker) buildRunner(s run.Script, outcome run.BuildOutcome) {
	if outcome != run.BuildBuilt && outcome != run.BuildWaited || !w.hasRunners(s.Tenant) {
		return
	}
	if runner, ok := w.deps.Policy.Runner(s); ok {
		w.deps.Builds.Behind(runner, builds.ForRunner)
	}
}

// untakenClasses are the classes of errors by which an env runner has not
// executed the script, and its own function may. Unsent and BadSignature are not
// among them: they are about the way to Lambda, which is the same for both.
var untakenClasses = []function.Class{
	function.NotTaken, function.NotFound, function.BadState, function.NotReady, function.Throttled,
	function.Refused, function.Denied, function.Operator, function.Conflict,
}

// untaken tells whether an env runner was to execute the run and has not.
func (w *Worker) untaken(h *held, err error) bool {
	class := function.ClassOf(err)
	if h.built.Runner == nil || !slices.Contains(untakenClasses, class) || h.work.Err() != nil {
		return false
	}
	w.metrics.untaken.WithLabelValues(string(class)).Inc()
	switch {
	case class == function.NotFound || class == function.BadState:
		w.forget(h, *h.built.Runner)
	case class == function.Throttled && !ofOneFunction(err):
		w.turns.throttled()
	}
	return true
}

// fallBack prepares a run that an env runner did not execute to wait for its own
// function: it gives back the turn and the slots, takes the attempt back in the
// ledger, and claims the run again.
func (w *Worker) fallBack(h *held, refusal error) error {
	w.giveTurnBack(h)
	h.own, h.bridge, h.built, h.spans.failed = true, nil, builds.Built{}, ""
	h.payload, h.credentials, h.begins = nil, nil, false
	if !h.invoked() {
		return nil // its payload would have been too large
	}
	hold, _ := h.currentHold()
	h.dropHold()
	ctx, cancel := context.WithTimeout(uncut(h.work), optionalTimeout)
	defer cancel()
	if err := w.deps.Ledger.Release(ctx, hold, false); err != nil {
		w.faults.claims.Met(err)
		return refusal // it is put back as after a refusal by a function
	}
	h.unbegun()
	return w.claim(h)
}
