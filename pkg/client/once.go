package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Seen remembers which results were handled, by their id. Its methods are safe
// for concurrent use.
//
// For effects that happen exactly once, also across a crash, keep the ids in
// the same database as the effects: let the handler write the id as a unique
// key in the transaction of its effect, let Has look it up, and let Add do
// nothing. With a Seen that is written after the effect, such as [Recent], a
// crash in between repeats the effect.
type Seen interface {
	Has(ctx context.Context, id run.Key) (bool, error)
	Add(ctx context.Context, id run.Key) error
}

// Once returns a Handler that calls handle with each result that seen does not
// have, and adds it once handle has succeeded. A copy that comes while the
// first is being handled is put back for a moment.
func Once(seen Seen, handle Handler) Handler {
	o := once{seen: seen, handle: handle, handling: map[run.Key]bool{}}
	return o.result
}

type once struct {
	seen   Seen
	handle Handler

	mu       sync.Mutex
	handling map[run.Key]bool
}

func (o *once) result(ctx context.Context, r Received) error {
	if !o.begin(r.ID) {
		return ErrNotMine
	}
	defer o.end(r.ID)
	had, err := o.seen.Has(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("look up whether it was handled: %w", err)
	}
	if had {
		return nil
	}
	if err := o.handle(ctx, r); err != nil {
		return err
	}
	if err := o.seen.Add(ctx, r.ID); err != nil {
		return fmt.Errorf("note that it was handled: %w", err)
	}
	return nil
}

func (o *once) begin(id run.Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.handling[id] {
		return false
	}
	o.handling[id] = true
	return true
}

func (o *once) end(id run.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.handling, id)
}

// Recent returns a Seen in memory that remembers the last n results, about 100
// bytes each. It serves a program whose effects may be repeated after a crash.
func Recent(n int) Seen {
	return &recent{ids: map[run.Key]bool{}, order: make([]run.Key, max(1, n))}
}

type recent struct {
	mu    sync.Mutex
	ids   map[run.Key]bool
	order []run.Key // a ring; an unused place is empty
	next  int
}

func (r *recent) Has(_ context.Context, id run.Key) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id], nil
}

func (r *recent) Add(_ context.Context, id run.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids[id] {
		return nil
	}
	delete(r.ids, r.order[r.next])
	r.ids[id], r.order[r.next] = true, id
	r.next = (r.next + 1) % len(r.order)
	return nil
}
