package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// resolve fills in the script of a request that names one of the registry, and
// decides whether its caller may run it. From then on the run names a version.
func (d *Dispatcher) resolve(ctx context.Context, r run.Run) (run.Run, *run.Error, error) {
	ref, ok := r.Reference()
	switch {
	case !ok:
		return r, nil, nil
	case d.deps.Scripts == nil:
		return r, registry.NoRegistry(), nil
	case d.scriptsAway.Paused():
		return r, nil, errAway
	}
	pushed, err := d.deps.Scripts.Resolve(ctx, r)
	var refused *run.Error
	switch {
	case errors.As(err, &refused):
	case err != nil:
		if ctx.Err() == nil {
			d.scriptsAway.met(err)
		}
		return r, nil, fmt.Errorf("resolve %s: %w", ref, err)
	}
	d.scriptsAway.over()
	if refused == nil {
		var full run.Run
		if full, refused = d.deps.Policy.Complete(r, ref.ID, pushed, time.Now()); refused == nil {
			return full, nil, nil
		}
	}
	// What was accepted runs, though it would be refused by now.
	if before, found, err := d.accepted(ctx, r); err != nil || found {
		return before, nil, err
	}
	return r, refused, nil
}

// body is the request as it is sent on: one that names a script of the registry
// names its version. If the run was accepted before, that is the version of
// then.
func (d *Dispatcher) body(ctx context.Context, r *run.Run, before ledger.State, delivery queue.Delivery) ([]byte, error) {
	if _, ok := r.Reference(); !ok {
		return delivery.Body, nil
	}
	if before != ledger.Unknown {
		first, found, err := d.accepted(ctx, *r)
		if err != nil {
			return nil, err
		}
		if found {
			*r = first
		}
	}
	return r.Request.Encode()
}

// accepted returns the run with the version with which it was accepted first.
// It is not found if the ledger does not know the run, or if the version was
// erased.
func (d *Dispatcher) accepted(ctx context.Context, r run.Run) (first run.Run, found bool, err error) {
	ref, _ := r.Reference()
	known, err := d.deps.Ledger.Lookup(ctx, r.Key)
	switch {
	case err != nil:
		return r, false, fmt.Errorf("look up run %s: %w", r.Key, err)
	case known.State == ledger.Unknown || known.Entry.Script == "":
		return r, false, nil
	case known.Entry.Script == r.Script.Hash:
		return r, true, nil
	}
	err = d.deps.Scripts.Versions(ctx, r, func(p run.Pushed) bool {
		full, refused := d.deps.Policy.Complete(r, ref.ID, p, time.Now())
		if found = refused == nil && full.Script.Hash == known.Entry.Script; found {
			first = full
		}
		return !found
	})
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return r, false, fmt.Errorf("find the version that run %s was accepted with: %w", r.Key, err)
	}
	return first, found, nil
}
