package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// MaxVersions bounds the versions of one script, so that its entry stays small:
// it is read for each change by every dispatcher.
const MaxVersions = 5000

// Registry changes scripts. It is safe for concurrent use, also by several
// processes.
type Registry struct{ store Store }

// New returns the registry of the scripts in a store.
func New(store Store) *Registry { return &Registry{store} }

// Push is one push of a script.
type Push struct {
	Name    Name
	Pushed  run.Pushed
	Sharing *Sharing // nil leaves it as it is
	Label   string   // to name the version by; may be empty
}

// Push stores a version and makes it the latest. Pushing the same content again
// adds no version. The entry that it returns is the new one; created tells
// whether the version is new.
func (g *Registry) Push(ctx context.Context, p Push, now time.Time) (e Entry, created bool, err error) {
	v := p.Pushed.Version()
	// The text goes first: an entry never names a version that has no text.
	if err := g.store.PutText(ctx, p.Name, p.Pushed); err != nil {
		return Entry{}, false, err
	}
	e, err = g.change(ctx, p.Name, func(e *Entry) error {
		created = !e.Has(v)
		if created && len(e.Versions) >= MaxVersions {
			return fmt.Errorf("script %s has %d versions, which is the limit: remove it with --erase and push it again, or push under another id", p.Name, MaxVersions)
		}
		if created {
			e.Versions = append(e.Versions, Version{Version: v, PushedAt: now.UTC(), Runtime: p.Pushed.Runtime, Bytes: len(p.Pushed.Source)})
		}
		e.Latest, e.Removed = v, time.Time{}
		if p.Sharing != nil {
			e.Sharing = *p.Sharing
		}
		e.label(p.Label, v)
		return nil
	})
	return e, created, err
}

// Promote makes a label name the version that a reference names now.
func (g *Registry) Promote(ctx context.Context, n Name, from run.Reference, label string) (run.ScriptVersion, error) {
	var v run.ScriptVersion
	_, err := g.change(ctx, n, func(e *Entry) (err error) {
		if v, err = find(n, *e, from); err == nil {
			e.label(label, v)
		}
		return err
	})
	return v, err
}

// Share replaces the lists of callers.
func (g *Registry) Share(ctx context.Context, n Name, s Sharing) error {
	_, err := g.change(ctx, n, func(e *Entry) error {
		if e.Removed.IsZero() && e.Latest != "" {
			e.Sharing = s
			return nil
		}
		_, err := find(n, *e, run.Reference{ID: n.ID})
		return err
	})
	return err
}

// Remove refuses later requests for a script. With erase its texts are removed
// too, and accepted runs that have not begun end as rejected.
func (g *Registry) Remove(ctx context.Context, n Name, erase bool, now time.Time) error {
	var versions []Version
	_, err := g.change(ctx, n, func(e *Entry) error {
		if e.Revision == "" {
			return unknown(n, run.Reference{ID: n.ID})
		}
		versions = e.Versions
		e.Removed, e.Labels = now.UTC(), nil
		if erase {
			e.Versions, e.Latest, e.Sharing = nil, "", Sharing{}
		}
		return nil
	})
	if err != nil || !erase {
		return err
	}
	for _, v := range versions {
		if err := g.store.Erase(ctx, n, v.Version); err != nil {
			return err
		}
	}
	return nil
}

// Entry returns a script's entry, and a zero one if it was never pushed or was
// removed.
func (g *Registry) Entry(ctx context.Context, n Name) (Entry, error) {
	e, err := g.store.Entry(ctx, n, "")
	if errors.Is(err, ErrNotFound) || err == nil && !e.Removed.IsZero() {
		return Entry{}, nil
	}
	return e, err
}

// List returns the scripts of a tenant by id, without removed ones.
func (g *Registry) List(ctx context.Context, tenant string) (map[string]Entry, error) {
	ids, err := g.store.List(ctx, tenant)
	if err != nil {
		return nil, err
	}
	found := map[string]Entry{}
	for _, id := range ids {
		e, err := g.Entry(ctx, Name{tenant, id})
		if err != nil {
			return nil, err
		}
		if e.Latest != "" {
			found[id] = e
		}
	}
	return found, nil
}

// Read returns the content that a reference names. With a caller, it refuses
// one that may not read the script; without one, whoever can reach the store
// reads it.
func (g *Registry) Read(ctx context.Context, n Name, r run.Reference, caller string) (run.Pushed, error) {
	e, err := g.Entry(ctx, n)
	if err != nil {
		return run.Pushed{}, err
	}
	v, err := find(n, e, r)
	switch {
	case err != nil:
		return run.Pushed{}, err
	case caller != "" && !e.MayRead(caller):
		return run.Pushed{}, mayNotRead(n, caller)
	}
	return g.store.Text(ctx, n, v)
}

// tries bounds the attempts to save an entry. Each time, somebody else's change
// was saved.
const tries = 20

// change saves an entry with a change made to it.
func (g *Registry) change(ctx context.Context, n Name, do func(*Entry) error) (Entry, error) {
	for range tries {
		e, err := g.store.Entry(ctx, n, "")
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Entry{}, err
		}
		e.Versions, e.Labels = slices.Clone(e.Versions), maps.Clone(e.Labels)
		if err := do(&e); err != nil {
			return Entry{}, err
		}
		if err = g.store.Save(ctx, n, e); !errors.Is(err, ErrConflict) {
			return e, err
		}
	}
	return Entry{}, fmt.Errorf("save script %s: %w", n, ErrConflict)
}

func (e *Entry) label(label string, v run.ScriptVersion) {
	if label == "" {
		return
	}
	if e.Labels == nil {
		e.Labels = map[string]run.ScriptVersion{}
	}
	e.Labels[label] = v
}
