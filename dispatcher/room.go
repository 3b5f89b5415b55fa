package dispatcher

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// room is how many more requests, and how many more bytes of bodies, the
// dispatcher may take in hand.
//
// A poll reserves room for the largest number of requests that it may return.
// Their size is known only afterwards: a poll begins while at least one byte is
// free, so the bodies in hand can exceed MaxInHandBytes by the results of the
// running polls, 10 requests each.
//
// A way may hold as much room as is left free, and more only for the time
// behind. So one stuck way holds at most half of the room, two hold a third
// each, and room is always left for other tenants' requests. A way that has not
// sent its first request within that time takes no more.
type room struct {
	least int // number of free requests at which a poll begins

	mu      sync.Mutex
	free    int
	bytes   int           // free bytes; negative once a poll has returned more
	changed chan struct{} // closed and replaced when room becomes free
}

func newRoom(requests, bytes int) *room {
	return &room{
		// A call costs the same for one request as for ten.
		least: max(1, min(queue.MaxBatch, requests/4)),
		free:  requests, bytes: bytes, changed: make(chan struct{}),
	}
}

// reserve waits for room for a poll, and returns the number of requests. It
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

// arrived returns the room that a poll reserved and did not use.
func (r *room) arrived(reserved int, ds []queue.Delivery) {
	size := 0
	for i := range ds {
		size += len(ds[i].Body)
	}
	r.add(reserved-len(ds), -size)
}

// gone returns a request's room.
func (r *room) gone(d queue.Delivery) { r.add(1, len(d.Body)) }

func (r *room) add(requests, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += requests
	r.bytes += bytes
	close(r.changed)
	r.changed = make(chan struct{})
}

// enter puts a request at the end of its way's line, and returns how long it
// may wait there. It refuses while the first in line has waited for longer than
// behind. While the way is away, it admits one request after each pause, to
// test whether the queue answers.
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

// answers records that a way has sent something.
func (r *room) answers(w *way) {
	r.mu.Lock()
	w.answered = time.Now()
	r.mu.Unlock()
}

// silent tells whether a way has sent nothing for the duration.
func (r *room) silent(w *way, long time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(w.answered) >= long
}
