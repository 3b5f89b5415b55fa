package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Bounds of a Resolver's memory, in bytes of what it keeps.
const (
	maxTexts   = 64 << 20
	maxEntries = 16 << 20
)

// storeWithin bounds a call of the store.
const storeWithin = 5 * time.Second

// Resolver answers which script a reference names. It keeps entries, which it
// revalidates for each answer, and texts, both bounded. It is safe for
// concurrent use.
type Resolver struct {
	store   Store
	entries *lookups
	texts   *kept[textKey, run.Pushed]
}

type textKey struct {
	name    Name
	version run.ScriptVersion
}

// NewResolver returns a Resolver of the scripts in a store.
func NewResolver(store Store) *Resolver {
	return &Resolver{store: store, entries: newLookups(store), texts: newKept[textKey, run.Pushed](maxTexts)}
}

// Resolve returns the content of the version that the request's reference names
// now. It fails with a *run.Error where the script is unknown or the caller may
// not run it, and with another error where the store is out of reach. A build
// ahead gives nothing to its caller, so it need not name one.
func (r *Resolver) Resolve(ctx context.Context, req run.Run) (run.Pushed, error) {
	ref, _ := req.Reference()
	n := Name{req.Tenant, ref.ID}
	e, err := r.entries.get(ctx, n)
	if err != nil {
		return run.Pushed{}, err
	}
	v, err := find(n, e, ref)
	caller := req.Data.Caller
	switch {
	case err != nil:
		return run.Pushed{}, err
	case !e.MayRun(caller) && (req.Type != run.TypeSaved || caller != ""):
		return run.Pushed{}, mayNotRun(ref, caller)
	}
	return r.text(ctx, n, v)
}

// Accepted returns the content of the version that an accepted run names. It
// fails like Resolve; who may run the script was decided before.
func (r *Resolver) Accepted(ctx context.Context, accepted run.Run) (run.Pushed, error) {
	ref, _ := accepted.Reference()
	if ref.Version == "" {
		return r.Resolve(ctx, accepted) // no dispatcher has accepted it
	}
	p, err := r.text(ctx, Name{accepted.Tenant, ref.ID}, ref.Version)
	if errors.Is(err, ErrNotFound) {
		return p, erased(ref)
	}
	return p, err
}

// Versions returns the contents of all versions of the script that a run names,
// latest first, until yield returns false.
func (r *Resolver) Versions(ctx context.Context, of run.Run, yield func(run.Pushed) bool) error {
	ref, _ := of.Reference()
	n := Name{of.Tenant, ref.ID}
	e, err := r.entries.get(ctx, n)
	if err != nil {
		return err
	}
	for i := len(e.Versions) - 1; i >= 0; i-- {
		p, err := r.text(ctx, n, e.Versions[i].Version)
		if err != nil {
			return err
		}
		if !yield(p) {
			break
		}
	}
	return nil
}

func (r *Resolver) text(ctx context.Context, n Name, v run.ScriptVersion) (run.Pushed, error) {
	key := textKey{n, v}
	if p, ok := r.texts.get(key); ok {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	p, err := r.store.Text(ctx, n, v)
	if errors.Is(err, ErrCorrupt) {
		return run.Pushed{}, corrupt(n, v)
	}
	if err != nil {
		return run.Pushed{}, fmt.Errorf("read script %s of version %s: %w", n, v, err)
	}
	r.texts.put(key, p, len(p.Source)+len(p.Requirements)+200)
	return p, nil
}
