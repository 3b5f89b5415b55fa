package sqs

import (
	"math"
	"time"
)

// Fair queues. The messages of each group (MessageGroupId: for the fleet, the
// tenant) are kept together, and a group is noisy or quiet. Quiet groups are
// delivered first, oldest message first; then the noisy ones in the same order.
// No group is throttled, no message dropped, and no group's concurrency is
// capped.
//
// A group becomes noisy, by AWS's thresholds, while it has
//   - more than a tenth of the messages in flight, and at least 30 of its own, or
//   - more than a tenth of the processing time.
//
// AWS documents neither the period of the second threshold nor a minimum. Here
// the period is about the last minute, and the minimum is 30 s of processing
// time: without it the only consumer of an idle queue would be noisy, and with
// five tenants of equal shares none would be quiet.
//
// It is quiet again once its backlog is empty, or after it was idle for five
// minutes. Messages without a group are never noisy.
const (
	noisyInFlight   = 30
	noisyShare      = 0.1
	noisyProcessing = 30.0 // seconds within the window
	processWindow   = 60.0 // seconds: time constant of the exponential decay
	noisyIdle       = 5 * time.Minute
)

// group holds the messages of one MessageGroupId. It is removed with its last
// message.
type group struct {
	name   string
	size   int // number of its messages
	head   *message
	tail   *message
	flight meter
	noisy  bool
	active time.Time // of its last send or receive
	at     int       // index in the heap of quiet or of noisy groups
}

// meter counts messages in flight, and their time in flight: the integral of
// the count over time, with exponential decay.
type meter struct {
	count   int
	seconds float64
	since   time.Time
}

func (m *meter) add(now time.Time, n int) {
	m.seconds, m.since = m.processing(now), now
	m.count += n
}

// processing is the decayed time in flight, in seconds.
func (m *meter) processing(now time.Time) float64 {
	if m.since.IsZero() || !now.After(m.since) {
		return m.seconds
	}
	left := math.Exp(-now.Sub(m.since).Seconds() / processWindow)
	return m.seconds*left + float64(m.count)*processWindow*(1-left)
}

// dominates tells whether the group exceeds a threshold now.
func (e *engine) dominates(now time.Time, g *group) bool {
	if g.name == "" {
		return false
	}
	if g.flight.count >= noisyInFlight && float64(g.flight.count) > noisyShare*float64(e.flight.count) {
		return true
	}
	spent := g.flight.processing(now)
	return spent >= noisyProcessing && spent > noisyShare*e.flight.processing(now)
}

// nextGroup is the group of the next message to deliver. It also marks that
// group as noisy if it dominates; a group without a deliverable message need
// not be marked.
func (e *engine) nextGroup(now time.Time) *group {
	for g := e.quiet.min(); g != nil; g = e.quiet.min() {
		if !e.dominates(now, g) {
			return g
		}
		e.quiet.remove(g)
		g.noisy = true
		e.marked[g] = struct{}{}
		e.noisy.push(g)
	}
	return e.noisy.min()
}

// forgive unmarks groups that were idle long enough. It runs once a second, and
// over the marked groups only.
func (e *engine) forgive(now time.Time) {
	if len(e.marked) == 0 || now.Sub(e.forgave) < time.Second {
		return
	}
	e.forgave = now
	for g := range e.marked {
		if now.Sub(g.active) < noisyIdle {
			continue
		}
		delete(e.marked, g)
		g.noisy = false
		if g.head != nil {
			e.noisy.remove(g)
			e.quiet.push(g)
		}
	}
}

// heapOf is the heap for a group with a deliverable message.
func (e *engine) heapOf(g *group) *heap[*group] {
	if g.noisy {
		return &e.noisy
	}
	return &e.quiet
}

// groupOf returns the group of the name, and makes it if needed.
func (e *engine) groupOf(name string) *group {
	g := e.groups[name]
	if g == nil {
		g = &group{name: name, at: -1}
		e.groups[name] = g
	}
	return g
}

// leave counts a message out of its group, and removes an empty group.
func (e *engine) leave(g *group) {
	if g.size--; g.size == 0 {
		delete(e.groups, g.name)
		delete(e.marked, g)
	}
}

// enqueue adds a message to its group's ready list, at the front if first is
// true, else at the back.
func (e *engine) enqueue(m *message, first bool) {
	g := m.owner
	m.state = ready
	e.readyCount++
	if first {
		e.front--
		m.place, m.prev, m.next = e.front, nil, g.head
	} else {
		e.back++
		m.place, m.prev, m.next = e.back, g.tail, nil
	}
	if m.prev == nil {
		g.head = m
	} else {
		m.prev.next = m
	}
	if m.next == nil {
		g.tail = m
	} else {
		m.next.prev = m
	}
	e.place(g)
}

// dequeue removes a message from its group's ready list.
func (e *engine) dequeue(m *message) {
	g := m.owner
	e.readyCount--
	if m.prev == nil {
		g.head = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		g.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next = nil, nil
	e.place(g)
}

// place moves a group to its heap's position for its first message.
func (e *engine) place(g *group) {
	h := e.heapOf(g)
	switch {
	case g.head == nil:
		h.remove(g)
	case g.at < 0:
		h.push(g)
	default:
		h.fix(g)
	}
}
