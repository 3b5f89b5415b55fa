package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// Calls to the ledger and to the tenants' slots: their timeouts, and what
// happens while Redis is away.

const (
	// optionalTimeout bounds a call that a run can do without.
	optionalTimeout = 2 * time.Second
	// slotTTL is how long a tenant's slot outlives its worker.
	slotTTL = 30 * time.Second
)

// again waits, with full jitter, before a call is repeated because the ledger
// or the results queue is away; the intake pauses meanwhile. It returns false
// once ctx has ended.
func (w *Worker) again(ctx context.Context, err error, try int) bool {
	w.breaker.Open(err)
	if !errors.Is(err, ledger.ErrUnavailable) {
		w.faults.results.Met(err)
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(min(50*time.Millisecond<<min(try, 10), 3*time.Second))):
		return true
	}
}

// uncut returns a context for a call whose effect must be known even if ctx
// ends: a granted slot must be given back, a sent message counts as sent. The
// call has its own timeout.
func uncut(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// line makes calls that nobody waits for, one after the other, in one goroutine:
// a thousand runs that begin to wait together need no thousand stacks.
type line struct {
	mu      sync.Mutex
	waiting []func()
	running bool
}

func (l *line) add(call func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, call)
	if !l.running {
		l.running = true
		go l.run()
	}
}

func (l *line) run() {
	for call := l.next(); call != nil; call = l.next() {
		call()
	}
}

// next returns nil, and ends the line's goroutine, when nothing waits.
func (l *line) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.running, l.waiting = false, nil
		return nil
	}
	call := l.waiting[0]
	l.waiting = l.waiting[1:]
	return call
}

// note records in the ledger what the run waits for, for explain. A failure is
// ignored.
func (w *Worker) note(h *held, reason string) {
	if hold, ok := h.currentHold(); ok {
		ctx, cancel := context.WithTimeout(h.wait, optionalTimeout)
		defer cancel()
		_ = w.deps.Ledger.Wait(ctx, hold, reason)
	}
}

// freeSlots gives back the run's slots, or keeps the tenant's: see spares.
func (w *Worker) freeSlots(h *held) {
	scope, waiting := tenantScope(h.run.Tenant), w.inflight.spareable(h.tenant())
	if waiting < 0 {
		scope = ""
	}
	if others := w.spares.keep(h, scope, waiting); len(others) > 0 {
		_, _ = w.gives.Do(uncut(h.work), others)
	}
}

// flushGives gives back the slots of many runs in one call.
func (w *Worker) flushGives(ctx context.Context, runs [][]slot.Ask) ([]struct{}, []error) {
	w.giveSlots(ctx, slices.Concat(runs...))
	return make([]struct{}, len(runs)), nil
}

// giveSlots gives slots back. A slot that it cannot give back expires after
// slotTTL.
func (w *Worker) giveSlots(ctx context.Context, asks []slot.Ask) {
	if len(asks) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(uncut(ctx), optionalTimeout)
	defer cancel()
	if err := w.deps.Slots.Give(ctx, asks); err != nil {
		w.faults.slots.Met(err)
		return
	}
	w.faults.slots.Over()
}

func (w *Worker) flushSlots(ctx context.Context, asks []slot.Ask) ([]bool, []error) {
	ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	taken, err := w.deps.Slots.Take(ctx, asks, slotTTL)
	if err != nil {
		return nil, slices.Repeat([]error{err}, len(asks))
	}
	w.faults.slots.Over()
	return taken, nil
}
