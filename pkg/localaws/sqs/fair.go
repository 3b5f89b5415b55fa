package sqs

import (
	"math"
	"time"
)

// Fair queues. The messages of a group (MessageGroupId, for us the tenant) are
// held together, and groups are noisy or quiet. Quiet groups are delivered
// first, oldest message first; then the noisy ones in the same order. Nothing
// is throttled or dropped, and nobody's concurrency is capped.
//
// A group becomes noisy, by AWS's thresholds, while it has
//   - more than a tenth of the messages in flight, and at least 30 of its own, or
//   - more than a tenth of the processing time.
//
// AWS does not say over which time the second is measured, nor how much there
// has to be. Here it is the last minute or so, and there have to be at least
// 30 seconds of it: otherwise the only consumer of an idle queue is noisy, and
// beside five tenants with equal shares nobody is quiet.
//
// It is quiet again when its backlog is gone or it has been idle for five
// minutes. Messages without a group are never noisy.
const (
	noisyInFlight   = 30
	noisyShare      = 0.1
	noisyProcessing = 30.0 // seconds within the window
	processWindow   = 60.0 // seconds: the time constant of the decay
	noisyIdle       = 5 * time.Minute
)

// group is the messages of one MessageGroupId that are on the queue. It is
// forgotten with the last of them.
type group struct {
	name   string
	size   int // all its messages
	head   *message
	tail   *message
	flight meter
	noisy  bool
	active time.Time // of its last send or receive
	at     int       // position in the heap of quiet or of noisy groups
}

// meter counts what is in flight, and how long it has been: the integral of
// the count over time, of which the past fades away.
type meter struct {
	count   int
	seconds float64
	since   time.Time
}

func (m *meter) add(now time.Time, n int) {
	m.seconds, m.since = m.processing(now), now
	m.count += n
}

// processing is the time in flight, in seconds, of about the last minute.
func (m *meter) processing(now time.Time) float64 {
	if m.since.IsZero() || !now.After(m.since) {
		return m.seconds
	}
	left := math.Exp(-now.Sub(m.since).Seconds() / processWindow)
	return m.seconds*left + float64(m.count)*processWindow*(1-left)
}

// dominates says whether the group has passed a threshold now.
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

// nextGroup is the group whose first message is due for delivery. It is where
// groups are found to be noisy: those that have nothing to deliver make no
// noise.
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

// forgive takes the mark from groups that have been idle long enough. It looks
// once a second; only marked groups are looked at.
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

// heapOf is where the group waits while it has something to deliver.
func (e *engine) heapOf(g *group) *heap[*group] {
	if g.noisy {
		return &e.noisy
	}
	return &e.quiet
}

// groupOf finds or makes the group.
func (e *engine) groupOf(name string) *group {
	g := e.groups[name]
	if g == nil {
		g = &group{name: name, at: -1}
		e.groups[name] = g
	}
	return g
}

// leave takes a message out of its group, which ends with its last one.
func (e *engine) leave(g *group) {
	if g.size--; g.size == 0 {
		delete(e.groups, g.name)
		delete(e.marked, g)
	}
}

// enqueue puts a message on its group's ready list: behind all that waits, or
// before it.
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

// dequeue takes a message off its group's ready list.
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

// place moves a group to where its first message belongs.
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
