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

// message is one that is on the queue.
type message struct {
	id       string
	body     []byte
	group    string
	attrs    map[string]string
	count    int       // receives
	sent     time.Time // by this queue's clock
	first    time.Time // of the first receive
	received time.Time // of the last
	handle   string    // of the delivery that holds it, if any

	state state
	due   time.Time // when it comes back, unless visible
	place int       // in the heap of hidden ones
}

// group is the visible messages of one group in the order in which they became
// visible, and how many of its messages are in flight.
type group struct {
	name     string
	line     []*message
	inFlight int
	served   uint64 // turn of the last delivery
	place    int    // in the heap of groups with a line; -1 outside of it
}

// store keeps every message in exactly one place: in its group's line while it
// is visible, in the heap of hidden ones while it is not.
type store struct {
	groups  map[string]*group
	ready   readyGroups
	hidden  hiddenMessages
	handles map[string]*message
	depth   queue.Depth
	turn    uint64
}

func newStore() store {
	return store{groups: map[string]*group{}, handles: map[string]*message{}}
}

// show makes a message visible: the last of its group.
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

// hide keeps a message back until due: delayed, or in flight. One that is in
// flight already stays so, with another due time.
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

// lift takes a message out of the place where it is, and ends the delivery that
// held it. A visible one must be the one that pick chose.
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

// pick is the visible message that is next: of the group with the fewest in
// flight, and among those of the one that was served longest ago. It stays
// where it is.
func (s *store) pick() *message {
	if len(s.ready) == 0 {
		return nil
	}
	return s.ready[0].line[0]
}

// reorder gives a group its place after a change. One that has no message
// visible or in flight is forgotten, so that a tenant that left costs nothing.
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

// bringBack makes visible what is due.
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
