package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// lookups reads entries, and asks the store for each whether it has changed.
// Calls share a read that has not begun when they come, so each gets an entry
// as new as itself, and there is one read of an entry at a time.
type lookups struct {
	store Store
	known *kept[Name, Entry]

	mu      sync.Mutex
	running map[Name]bool
	next    map[Name]*lookup // waits for the running one
}

// lookup is one read of an entry. entry and err are set before done is closed.
type lookup struct {
	done  chan struct{}
	entry Entry
	err   error
}

func newLookups(store Store) *lookups {
	return &lookups{store: store, known: newKept[Name, Entry](maxEntries), running: map[Name]bool{}, next: map[Name]*lookup{}}
}

// get returns an entry, which is zero if there is none.
func (l *lookups) get(ctx context.Context, n Name) (Entry, error) {
	l.mu.Lock()
	one := l.next[n]
	if one == nil {
		one = &lookup{done: make(chan struct{})}
		l.next[n] = one
		if !l.running[n] {
			l.running[n] = true
			go l.run(n)
		}
	}
	l.mu.Unlock()
	select {
	case <-one.done:
		return one.entry, one.err
	case <-ctx.Done():
		return Entry{}, context.Cause(ctx)
	}
}

// run makes the reads of an entry, one after the other, until none waits.
func (l *lookups) run(n Name) {
	for {
		l.mu.Lock()
		one := l.next[n]
		delete(l.next, n)
		if one == nil {
			delete(l.running, n)
		}
		l.mu.Unlock()
		if one == nil {
			return
		}
		one.err = errors.New("the lookup panicked")
		panics.Guard{}.Catch(func() { one.entry, one.err = l.read(n) }, nil)
		close(one.done)
	}
}

// read revalidates the entry that is kept. It has its own deadline, since it
// serves several calls.
func (l *lookups) read(n Name) (Entry, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	known, _ := l.known.get(n)
	e, err := l.store.Entry(ctx, n, known.Revision)
	switch {
	case errors.Is(err, ErrUnchanged):
		return known, nil
	case errors.Is(err, ErrNotFound):
		l.known.forget(n)
		return Entry{}, nil
	case err != nil:
		return Entry{}, fmt.Errorf("look up script %s: %w", n, err)
	}
	l.known.put(n, e, 200+120*(len(e.Versions)+len(e.Labels))+len(n.ID))
	return e, nil
}
