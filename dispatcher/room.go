package dispatcher

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fair"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// room is what the dispatcher may have in hand: requests at work, and those that
// wait in line for that.
//
// The line is a look-ahead: many requests are received before their turn, so
// that those of a tenant with few are found behind those of a tenant with many.
// The tenants (by the message's group, which is the sender's to set; requests
// without one have the turn of one tenant together) take turns, and a tenant
// that had nothing in line is next.
//
// A poll reserves room for the largest number of requests that it may return.
// Their size is known only afterwards: a poll begins while at least one byte is
// free, so the bodies in hand can exceed MaxInHandBytes by the results of the
// running polls, 10 requests each.
//
// A way may hold as much room at work as is left free, and more only for the
// time behind. So one stuck way holds at most half of the room, two hold a third
// each, and room is always left for other tenants' requests. A way that has not
// sent its first request within that time takes no more.
type room struct {
	least int // number of requests for which there must be room when a poll begins

	mu      sync.Mutex
	inHand  int // how many more may be received
	free    int // how many more may be at work
	atWork  int
	bytes   int           // free bytes; negative once a poll has returned more
	changed chan struct{} // closed and replaced when something may be received
	line    *fair.Queue[queue.Delivery]
}

// workPart is the part of the requests in hand that may be at work: enough for
// full calls of each kind, and so few that a request which is next does not wait
// long for the processor.
const workPart = 8

func newRoom(requests, bytes int) *room {
	return &room{
		// A call costs the same for one request as for ten.
		least:  max(1, min(queue.MaxBatch, requests/4)),
		inHand: requests, free: max(queue.MaxBatch, requests/workPart), bytes: bytes,
		changed: make(chan struct{}), line: fair.New[queue.Delivery](),
	}
}

// reserve waits for room for a poll, and returns the number of requests. It
// returns 0 once ctx has ended.
func (r *room) reserve(ctx context.Context) int {
	for ctx.Err() == nil {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if n := r.tryReserve(); n > 0 {
			return n
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return 0
}

// tryReserve returns 0 if there is no room for a poll now.
func (r *room) tryReserve() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.inHand, queue.MaxBatch)
	if n < r.least || r.bytes <= 0 {
		return 0
	}
	r.inHand -= n
	return n
}

// arrived puts what a poll returned in line, and returns the room that it
// reserved and did not use.
func (r *room) arrived(reserved int, ds []queue.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range ds {
		r.bytes -= len(d.Body)
		r.line.Push(d.Group, 1, d)
	}
	if len(ds) < reserved {
		r.returns(reserved-len(ds), 0)
	}
}

// next takes the next request from the line, if it may be at work now.
func (r *room) next() (d queue.Delivery, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free <= 0 {
		return d, false
	}
	if d, ok = r.line.Next(); ok {
		r.free--
		r.atWork++
		r.line.Charge(d.Group, 1)
	}
	return d, ok
}

// unsent is how many requests are in line or at work.
func (r *room) unsent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.line.Len() + r.atWork
}

// done ends a request's work.
func (r *room) done() {
	r.mu.Lock()
	r.free++
	r.atWork--
	r.mu.Unlock()
}

// gone returns a request's room.
func (r *room) gone(d queue.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.returns(1, len(d.Body))
}

// returns wakes the polls that wait for room. The caller holds mu.
func (r *room) returns(requests, bytes int) {
	r.inHand += requests
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

// slow tells whether the first in line of a way has waited for longer than
// slowFor.
func (r *room) slow(w *way) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := w.line.Front()
	return first != nil && time.Since(first.Value.(time.Time)) >= slowFor
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
