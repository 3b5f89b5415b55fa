package sqs

import "time"

// maxInFlight is SQS's limit of messages in flight per queue. At the limit a
// receive returns no messages, and no error.
const maxInFlight = 120_000

// maxVisibility is SQS's limit of a delivery's visibility timeout, from its
// receive.
const maxVisibility = 12 * time.Hour

// engine implements the rules of a queue. It has no clock, lock or goroutine:
// its owner passes the time, which must never go back, and calls one method at
// a time.
type engine struct {
	epoch     uint32        // identifies this process in receipt handles
	retention time.Duration // of a message, from its send time
	burial    int           // maxReceiveCount of the redrive policy; 0: none

	messages map[uint64]*message
	due      heap[*message] // delayed and in flight, by when they become visible
	old      heap[*message] // all messages, by send time
	groups   map[string]*group
	quiet    heap[*group] // groups with a deliverable message, by their first message
	noisy    heap[*group]
	marked   map[*group]struct{} // the noisy groups, with or without a deliverable message
	forgave  time.Time

	expired      []uint64 // sequence numbers removed by retention, until takeExpired
	readyCount   int
	delayedCount int
	flight       meter
	front, back  int64 // next places at the two ends of the order
}

func newEngine(epoch uint32, retention time.Duration, burial int) *engine {
	e := &engine{epoch: epoch, retention: retention, burial: burial}
	e.reset()
	return e
}

func (e *engine) reset() {
	e.messages, e.groups, e.marked = map[uint64]*message{}, map[string]*group{}, map[*group]struct{}{}
	e.due = newHeap(func(a, b *message) bool { return a.until.Before(b.until) }, func(m *message) *int { return &m.inDue })
	e.old = newHeap(func(a, b *message) bool { return a.SentAt.Before(b.SentAt) }, func(m *message) *int { return &m.inOld })
	byPlace := func(a, b *group) bool { return a.head.place < b.head.place }
	position := func(g *group) *int { return &g.at }
	e.quiet, e.noisy = newHeap(byPlace, position), newHeap(byPlace, position)
	e.readyCount, e.delayedCount, e.flight = 0, 0, meter{}
}

// add adds a message: delayed until its time, or else deliverable.
func (e *engine) add(now time.Time, m *message) {
	e.advance(now)
	m.inDue, m.inOld = -1, -1
	g := e.groupOf(m.Group)
	g.size++
	g.active = now
	m.owner = g
	e.messages[m.seq] = m
	e.old.push(m)
	if m.DelayedTo.After(now) {
		m.state, m.until = delayed, m.DelayedTo
		e.delayedCount++
		e.due.push(m)
		return
	}
	e.enqueue(m, false)
}

// receive makes up to max messages invisible for the given duration. It removes
// messages that were received too often and returns them as dead: the owner
// moves them to the dead-letter queue.
func (e *engine) receive(now time.Time, max int, visibility time.Duration) (got, dead []*message) {
	e.advance(now)
	for len(got) < max && e.flight.count < maxInFlight {
		g := e.nextGroup(now)
		if g == nil {
			break
		}
		m := g.head
		if e.burial > 0 && m.receives >= e.burial {
			e.remove(now, m)
			dead = append(dead, m)
			continue
		}
		e.take(now, m, visibility)
		got = append(got, m)
	}
	return got, dead
}

func (e *engine) take(now time.Time, m *message, visibility time.Duration) {
	e.dequeue(m)
	m.receives++
	m.receipt++
	if m.firstAt.IsZero() {
		m.firstAt = now
	}
	m.state, m.tookAt, m.until, m.putBack = inFlight, now, now.Add(visibility), false
	m.owner.active = now
	m.owner.flight.add(now, 1)
	e.flight.add(now, 1)
	e.due.push(m)
}

// outcome is the result of an operation on a receipt handle.
type outcome int

const (
	done        outcome = iota
	gone                // the message is deleted
	superseded          // the message has a newer delivery
	notInFlight         // the delivery's visibility timeout expired
	tooLong             // the visibility would exceed 12 hours from the receive
)

// handleOf is the handle of a message's newest delivery.
func (e *engine) handleOf(m *message) handle {
	return handle{seq: m.seq, epoch: e.epoch, receipt: m.receipt, tag: tagOf(m.ID)}
}

// find returns the message of a handle.
func (e *engine) find(h handle) (*message, outcome) {
	m := e.messages[h.seq]
	if m == nil || tagOf(m.ID) != h.tag {
		return nil, gone
	}
	newest := m.receipt
	if h.epoch != e.epoch { // a delivery by an earlier process: valid until this one delivers the message
		h.receipt = 0
	}
	if h.receipt != newest {
		return nil, superseded
	}
	return m, done
}

// delete removes the message, if the handle is its newest.
func (e *engine) delete(now time.Time, h handle) (uint64, outcome) {
	e.advance(now)
	m, o := e.find(h)
	if o != done {
		return 0, o
	}
	e.remove(now, m)
	return m.seq, done
}

// extend sets the end of a delivery's visibility to now + visibility.
func (e *engine) extend(now time.Time, h handle, visibility time.Duration) outcome {
	e.advance(now)
	m, o := e.find(h)
	switch {
	case o != done:
		return o
	case m.state != inFlight:
		return notInFlight
	case now.Add(visibility).After(m.tookAt.Add(maxVisibility)):
		return tooLong
	}
	until := now.Add(visibility)
	m.putBack = until.Before(m.until)
	m.until = until
	e.due.fix(m)
	e.advance(now)
	return done
}

// advance makes messages visible whose time has come, and removes those whose
// retention has ended.
func (e *engine) advance(now time.Time) {
	for m := e.due.min(); m != nil && !m.until.After(now); m = e.due.min() {
		e.due.remove(m)
		if m.state == delayed {
			e.delayedCount--
			e.enqueue(m, false)
			continue
		}
		m.owner.flight.add(now, -1)
		e.flight.add(now, -1)
		e.enqueue(m, !m.putBack)
	}
	for m := e.old.min(); m != nil && !m.SentAt.Add(e.retention).After(now); m = e.old.min() {
		e.remove(now, m)
		e.expired = append(e.expired, m.seq)
	}
	e.forgive(now)
}

// takeExpired returns the messages removed by retention since the last call.
func (e *engine) takeExpired() []uint64 {
	seqs := e.expired
	e.expired = nil
	return seqs
}

// remove removes a message in any state.
func (e *engine) remove(now time.Time, m *message) {
	switch m.state {
	case ready:
		e.dequeue(m)
	case delayed:
		e.delayedCount--
	case inFlight:
		m.owner.flight.add(now, -1)
		e.flight.add(now, -1)
	}
	e.due.remove(m)
	e.old.remove(m)
	delete(e.messages, m.seq)
	e.leave(m.owner)
}

// deliverable tells whether a receive would return a message.
func (e *engine) deliverable() bool { return e.readyCount > 0 && e.flight.count < maxInFlight }

// nextDue is when the next message becomes visible by itself.
func (e *engine) nextDue() (time.Time, bool) {
	if m := e.due.min(); m != nil {
		return m.until, true
	}
	return time.Time{}, false
}
