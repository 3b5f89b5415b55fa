// Package inmemory has parts for tests of the dispatcher and of the worker:
// queues and a ledger in memory that fail when a test wants it, and a runner
// for a part until the test ends.
package inmemory

import (
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// Faults are a queue's faults; a test may change them while the queue is in
// use. The zero value has none.
type Faults struct {
	mu sync.Mutex
	f  memqueue.Faults
}

// OnCall, OnEntry, OnDuplicate and OnDelete set the fields Call, Entry,
// Duplicate and LoseDelete of memqueue.Faults; nil removes the fault.
func (f *Faults) OnCall(do func(memqueue.Op, int) error) {
	f.change(func(q *memqueue.Faults) { q.Call = do })
}

func (f *Faults) OnEntry(do func(memqueue.Op, int) error) {
	f.change(func(q *memqueue.Faults) { q.Entry = do })
}

func (f *Faults) OnDuplicate(do func(string) bool) {
	f.change(func(q *memqueue.Faults) { q.Duplicate = do })
}

func (f *Faults) OnDelete(lose func(queue.Delivery) bool) {
	f.change(func(q *memqueue.Faults) { q.LoseDelete = lose })
}

func (f *Faults) change(c func(*memqueue.Faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c(&f.f)
}

func (f *Faults) now() memqueue.Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f
}

// Queue returns a queue with these faults.
func (f *Faults) Queue(name string) *memqueue.Queue {
	return memqueue.New(name, memqueue.Options{Faults: memqueue.Faults{
		Call: func(op memqueue.Op, n int) error {
			call := f.now().Call
			if call == nil {
				return nil
			}
			return call(op, n)
		},
		Entry: func(op memqueue.Op, i int) error {
			entry := f.now().Entry
			if entry == nil {
				return nil
			}
			return entry(op, i)
		},
		Duplicate: func(id string) bool {
			twice := f.now().Duplicate
			return twice != nil && twice(id)
		},
		LoseDelete: func(d queue.Delivery) bool {
			lose := f.now().LoseDelete
			return lose != nil && lose(d)
		},
	}})
}
