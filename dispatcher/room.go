package dispatcher

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// room is how many more requests the dispatcher may take in hand, and how many
// bytes of bodies.
//
// A poll takes room for all the requests that it may bring before it begins.
// How large they are is known only when they are there: a poll begins while at
// least one byte is free, so that the bodies in hand can exceed MaxInHandBytes
// by what the polls under way bring, 10 requests each.
//
// A way may hold as much as is left free, and more for a moment only. So one way
// that is stuck holds half of all room, two hold a third each, and there is
// always room for the requests of other tenants. A way whose line is longer than
// it sends in that moment takes nothing more.
type room struct {
	least int // requests that a poll is begun for

	mu      sync.Mutex
	free    int
	bytes   int           // that are free; below zero once a poll brought more
	changed chan struct{} // closed, and replaced, when something becomes free
}

func newRoom(requests, bytes int) *room {
	return &room{
		// A call costs the same for one request as for ten.
		least: max(1, min(queue.MaxBatch, requests/4)),
		free:  requests, bytes: bytes, changed: make(chan struct{}),
	}
}

// reserve waits for room for a poll, and tells for how many requests it is. It
// returns 0 once ctx has ended.
func (r *room) reserve(ctx context.Context) int {
	for ctx.Err() == nil {
		r.mu.Lock()
		n, changed := min(r.free, queue.MaxBatch), r.changed
		if n >= r.least && r.bytes > 0 {
			r.free -= n
			r.mu.Unlock()
			return n
		}
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return 0
}

// arrived gives back what a poll reserved and did not bring.
func (r *room) arrived(reserved int, ds []queue.Delivery) {
	size := 0
	for i := range ds {
		size += len(ds[i].Body)
	}
	r.add(reserved-len(ds), -size)
}

// gone gives a request's room back.
func (r *room) gone(d queue.Delivery) { r.add(1, len(d.Body)) }

func (r *room) add(requests, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += requests
	r.bytes += bytes
	close(r.changed)
	r.changed = make(chan struct{})
}

// enter puts a request in the line of its way, and tells how long it may wait
// there. It refuses while the way is behind, and while it is away: one request at
// a time, after each pause, then tells whether it answers.
func (r *room) enter(w *way, size int) (place *list.Element, within time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if w.away.Paused() {
		return nil, 0, false
	}
	within = sendWithin
	if first := w.line.Front(); first == nil {
		w.answered = now // it owed no answer before
	} else {
		if w.away.Reason() != nil || now.Sub(first.Value.(time.Time)) >= behind {
			return nil, 0, false
		}
		if w.line.Len() >= r.free || w.bytes+size > r.bytes {
			within = behind
		}
	}
	w.bytes += size
	return w.line.PushBack(now), within, true
}

func (r *room) leave(w *way, place *list.Element, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.line.Remove(place)
	w.bytes -= size
}

// answers notes that a way has sent something.
func (r *room) answers(w *way) {
	r.mu.Lock()
	w.answered = time.Now()
	r.mu.Unlock()
}

// silent tells whether a way has sent nothing for that long.
func (r *room) silent(w *way, long time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(w.answered) >= long
}
