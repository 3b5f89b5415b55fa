package sqs

import (
	"container/list"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// queue is one queue: an engine guarded by a mutex, the waiting polls, and the
// store that makes changes durable.
type queue struct {
	name   string
	arn    string
	store  *store
	faults *Faults       // for tests; may be nil
	short  chan struct{} // closed by EndPolls; nil: polls always wait

	mu      sync.Mutex
	record  queueRecord
	set     settings
	engine  *engine
	lastSeq uint64
	polls   list.List   // of chan struct{}: waiting polls, the longest waiting first
	alarm   *time.Timer // wakes polls when a message becomes visible
	alarmAt time.Time   // when alarm fires; zero: not set
	gone    chan struct{}
	guard   panics.Guard
}

func newQueue(name, arn string, record queueRecord, set settings, epoch uint32, st *store) *queue {
	return &queue{
		name: name, arn: arn, store: st, record: record, set: set,
		engine: newEngine(epoch, set.retention, set.maxReceives()), gone: make(chan struct{}),
	}
}

// restore adds the messages of the database, visible or delayed.
func (q *queue) restore(now time.Time, ms []*message) {
	for _, m := range ms {
		q.engine.add(now, m)
		q.lastSeq = max(q.lastSeq, m.seq)
	}
}

// bytes is what the queue's messages take, with 1 KiB for each and the queue.
func (q *queue) bytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 1 << 10
	for _, m := range q.engine.messages {
		n += sizeOf(m.Body, m.Attributes) + 1<<10
	}
	return int64(n)
}

// send adds messages and returns once they are durable. They are delivered only
// after that, so a crash never takes back a delivered message.
func (q *queue) send(ms []*message) error {
	if err := q.store.commit(q.puts(ms)...); err != nil {
		return err
	}
	q.arrive(ms)
	return nil
}

// puts numbers the messages and returns the changes that write them.
func (q *queue) puts(ms []*message) []change {
	q.mu.Lock()
	for _, m := range ms {
		q.lastSeq++
		m.seq = q.lastSeq
	}
	q.mu.Unlock()
	if q.store == nil {
		return nil
	}
	changes := make([]change, len(ms))
	for i, m := range ms {
		changes[i] = change{queue: q.name, put: m}
	}
	return changes
}

// arrive makes durable messages deliverable and wakes a poll.
func (q *queue) arrive(ms []*message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, m := range ms {
		q.engine.add(now, m)
	}
	q.wake()
}

// take receives from the engine and writes the receive counts later.
func (q *queue) take(now time.Time, most int, visibility time.Duration) ([]received, []*message) {
	ms, dead := q.engine.receive(now, most, visibility)
	q.forget(q.engine.takeExpired())
	got := make([]received, len(ms))
	for i, m := range ms {
		got[i] = received{message: m, handle: q.engine.handleOf(m).String(), receives: m.receives, firstAt: m.firstAt}
	}
	if q.store != nil {
		q.store.later(q.marks(got)...)
	}
	for _, m := range got {
		if hit(q.faults, Twice, "ReceiveMessage", q.name) {
			q.engine.extend(now, q.engine.handleOf(m.message), 0)
		}
	}
	return got, dead
}

func (q *queue) marks(got []received) []change {
	changes := make([]change, len(got))
	for i, m := range got {
		changes[i] = change{queue: q.name, received: &receivedMark{m.seq, m.receives, m.firstAt}}
	}
	return changes
}

func (q *queue) forget(seqs []uint64) {
	if q.store == nil || len(seqs) == 0 {
		return
	}
	changes := make([]change, len(seqs))
	for i, seq := range seqs {
		changes[i] = change{queue: q.name, drop: seq}
	}
	q.store.later(changes...)
}

// delete deletes messages, and returns once that is durable.
func (q *queue) delete(handles []handle) ([]outcome, error) {
	outcomes := make([]outcome, len(handles))
	var drops []change
	q.mu.Lock()
	now := time.Now()
	for i, h := range handles {
		var seq uint64
		if seq, outcomes[i] = q.engine.delete(now, h); outcomes[i] == done {
			drops = append(drops, change{queue: q.name, drop: seq})
		}
	}
	q.wake()
	q.mu.Unlock()
	err := q.store.commit(drops...)
	if err != nil {
		// A retry of the caller would find them deleted: so write the deletion
		// later.
		q.store.later(drops...)
	}
	return outcomes, err
}

// extend sets the end of each delivery's visibility.
func (q *queue) extend(handles []handle, visibility []time.Duration) []outcome {
	outcomes := make([]outcome, len(handles))
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for i, h := range handles {
		outcomes[i] = q.engine.extend(now, h, visibility[i])
	}
	q.wake()
	return outcomes
}

// purge removes all messages.
func (q *queue) purge() error {
	q.mu.Lock()
	q.engine.reset()
	q.mu.Unlock()
	return q.store.commit(change{queue: q.name, purge: true})
}

// Stats are the counts of a queue.
type Stats struct {
	Name        string
	Visible     int
	InFlight    int
	Delayed     int
	NoisyGroups int
	Polls       int       // receives that wait for a message
	Oldest      time.Time // send time of its oldest message; zero if it is empty
}

func (q *queue) stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.engine
	e.advance(time.Now())
	q.forget(e.takeExpired())
	s := Stats{Name: q.name, Visible: e.readyCount, InFlight: e.flight.count, Delayed: e.delayedCount, NoisyGroups: len(e.marked), Polls: q.polls.Len()}
	if m := e.old.min(); m != nil {
		s.Oldest = m.SentAt
	}
	return s
}
