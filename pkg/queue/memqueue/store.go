package memqueue

import (
	"container/heap"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

type state uint8

const (
	nowhere state = iota
	visible
	inFlight
	delayed
)

// message is a message on the queue.
type message struct {
	id       string
	body     []byte
	group    string
	attrs    map[string]string
	trace    string
	count    int       // receives
	sent     time.Time // by this queue's clock
	first    time.Time // of the first receive
	received time.Time // of the last receive
	handle   string    // of the last delivery

	state state
	due   time.Time // when it becomes visible, unless it is
	place int       // in the heap of hidden messages
}

// group is the visible messages of one message group, in the order in which
// they became visible, and the number of its messages in flight.
type group struct {
	name     string
	line     []*message
	inFlight int
	served   uint64 // number of the group's last delivery, by store.turn
	place    int    // in the heap readyGroups; -1 outside of it
}

// store keeps every message in exactly one place: in its group's line while it
// is visible, in the heap of hidden messages while it is not.
type store struct {
	groups  map[string]*group
	ready   readyGroups
	hidden  hiddenMessages
	handles map[string]*message
	depth   queue.Depth
	turn    uint64 // counts deliveries
}

func newStore() store {
	return store{groups: map[string]*group{}, handles: map[string]*message{}}
}

// show makes a message visible, as the last of its group's line.
func (s *store) show(m *message) {
	g := s.groups[m.group]
	if g == nil {
		g = &group{name: m.group, place: -1}
		s.groups[m.group] = g
	}
	g.line = append(g.line, m)
	s.lift(m)
	m.state = visible
	s.depth.Visible++
	s.reorder(g)
}

// hide hides a message until due, as delayed or in flight. For a message that
// is in flight already, it changes the due time only.
func (s *store) hide(m *message, as state, due time.Time) {
	m.due = due
	if m.state == as {
		heap.Fix(&s.hidden, m.place)
		return
	}
	if as == delayed {
		s.depth.Delayed++
	} else {
		s.depth.InFlight++
		s.turn++
		g := s.groups[m.group]
		g.inFlight++
		g.served = s.turn
	}
	s.lift(m)
	m.state = as
	heap.Push(&s.hidden, m)
}

// lift takes a message out of its place, and ends its delivery if it is in
// flight. A visible message must be the one that pick returned.
func (s *store) lift(m *message) {
	switch m.state {
	case nowhere:
		return
	case visible:
		s.depth.Visible--
		g := s.groups[m.group]
		g.line[0] = nil
		g.line = g.line[1:]
		s.reorder(g)
	case inFlight:
		s.depth.InFlight--
		delete(s.handles, m.handle)
		heap.Remove(&s.hidden, m.place)
		g := s.groups[m.group]
		g.inFlight--
		s.reorder(g)
	case delayed:
		s.depth.Delayed--
		heap.Remove(&s.hidden, m.place)
	}
	m.state = nowhere
}

// pick returns the next visible message: the first of the group with the fewest
// messages in flight. Among equal groups it is the one that was served longest
// ago. The message stays in its place.
func (s *store) pick() *message {
	if len(s.ready) == 0 {
		return nil
	}
	return s.ready[0].line[0]
}

// reorder moves a group to its place in the heap after a change. It drops a
// group without visible messages and messages in flight, so that idle tenants
// use no memory.
func (s *store) reorder(g *group) {
	switch {
	case len(g.line) > 0 && g.place < 0:
		heap.Push(&s.ready, g)
	case len(g.line) > 0:
		heap.Fix(&s.ready, g.place)
	case g.place >= 0:
		heap.Remove(&s.ready, g.place)
	}
	if len(g.line) == 0 && g.inFlight == 0 {
		delete(s.groups, g.name)
	}
}

// bringBack makes the hidden messages visible that are due.
func (s *store) bringBack(now time.Time) {
	for len(s.hidden) > 0 && !s.hidden[0].due.After(now) {
		s.show(s.hidden[0])
	}
}

// readyGroups is a heap of the groups that have visible messages.
type readyGroups []*group

func (h readyGroups) Len() int { return len(h) }
func (h readyGroups) Less(i, j int) bool {
	if h[i].inFlight != h[j].inFlight {
		return h[i].inFlight < h[j].inFlight
	}
	return h[i].served < h[j].served
}
func (h readyGroups) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *readyGroups) Push(x any) {
	g := x.(*group)
	g.place = len(*h)
	*h = append(*h, g)
}
func (h *readyGroups) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	g.place = -1
	return g
}

// hiddenMessages is a heap of messages by the time when they are due.
type hiddenMessages []*message

func (h hiddenMessages) Len() int           { return len(h) }
func (h hiddenMessages) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h hiddenMessages) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *hiddenMessages) Push(x any) {
	m := x.(*message)
	m.place = len(*h)
	*h = append(*h, m)
}
func (h *hiddenMessages) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return m
}
