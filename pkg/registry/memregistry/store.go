// Package memregistry keeps scripts in memory, for tests and simulations.
package memregistry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Store is a registry.Store in memory.
type Store struct {
	// Fault, if set, is called before each operation, which fails with its
	// error.
	Fault func(op string, n registry.Name) error

	mu      sync.Mutex
	saves   int
	entries map[registry.Name]registry.Entry
	texts   map[text]run.Pushed
}

type text struct {
	name    registry.Name
	version run.ScriptVersion
}

var _ registry.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{entries: map[registry.Name]registry.Entry{}, texts: map[text]run.Pushed{}}
}

// Entry returns a copy of an entry.
func (s *Store) Entry(ctx context.Context, n registry.Name, known registry.Revision) (registry.Entry, error) {
	if err := s.fault(ctx, "entry", n); err != nil {
		return registry.Entry{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[n]
	switch {
	case !ok:
		return registry.Entry{}, fmt.Errorf("entry of %s: %w", n, registry.ErrNotFound)
	case known != "" && e.Revision == known:
		return registry.Entry{}, registry.ErrUnchanged
	}
	return clone(e), nil
}

// Save writes an entry under a new revision.
func (s *Store) Save(ctx context.Context, n registry.Name, e registry.Entry) error {
	if err := s.fault(ctx, "save", n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[n].Revision != e.Revision {
		return fmt.Errorf("save %s: %w", n, registry.ErrConflict)
	}
	s.saves++
	e = clone(e)
	e.Revision = registry.Revision(strconv.Itoa(s.saves))
	s.entries[n] = e
	return nil
}

// PutText stores a version's content.
func (s *Store) PutText(ctx context.Context, n registry.Name, p run.Pushed) error {
	if err := s.fault(ctx, "put text", n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[text{n, p.Version()}] = p
	return nil
}

// Text returns a version's content.
func (s *Store) Text(ctx context.Context, n registry.Name, v run.ScriptVersion) (run.Pushed, error) {
	if err := s.fault(ctx, "text", n); err != nil {
		return run.Pushed{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.texts[text{n, v}]
	if !ok {
		return p, fmt.Errorf("text of %s: %w", n, registry.ErrNotFound)
	}
	return p, nil
}

// Erase removes a version's content.
func (s *Store) Erase(ctx context.Context, n registry.Name, v run.ScriptVersion) error {
	if err := s.fault(ctx, "erase", n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.texts, text{n, v})
	return nil
}

// List returns the ids of a tenant's entries.
func (s *Store) List(ctx context.Context, tenant string) ([]string, error) {
	if err := s.fault(ctx, "list", registry.Name{Tenant: tenant}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for n := range s.entries {
		if n.Tenant == tenant {
			ids = append(ids, n.ID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (s *Store) fault(ctx context.Context, op string, n registry.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.Fault != nil {
		return s.Fault(op, n)
	}
	return nil
}

func clone(e registry.Entry) registry.Entry {
	e.Versions, e.Labels = slices.Clone(e.Versions), maps.Clone(e.Labels)
	e.Allow, e.Readers = slices.Clone(e.Allow), slices.Clone(e.Readers)
	return e
}
