package dispatcher_test

import (
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// faults are a queue's, which a test changes while the queue is in use.
type faults struct {
	mu sync.Mutex
	f  memqueue.Faults
}

func (f *faults) now() memqueue.Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f
}

func (f *faults) change(c func(*memqueue.Faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c(&f.f)
}

func (f *faults) onCall(do func(memqueue.Op, int) error) {
	f.change(func(q *memqueue.Faults) { q.Call = do })
}

func (f *faults) onEntry(do func(memqueue.Op, int) error) {
	f.change(func(q *memqueue.Faults) { q.Entry = do })
}

func (f *faults) onDelete(lose func(queue.Delivery) bool) {
	f.change(func(q *memqueue.Faults) { q.LoseDelete = lose })
}

func (f *faults) options() memqueue.Options {
	return memqueue.Options{Faults: memqueue.Faults{
		Call: func(op memqueue.Op, n int) error {
			if call := f.now().Call; call != nil {
				return call(op, n)
			}
			return nil
		},
		Entry: func(op memqueue.Op, i int) error {
			if entry := f.now().Entry; entry != nil {
				return entry(op, i)
			}
			return nil
		},
		LoseDelete: func(d queue.Delivery) bool {
			lose := f.now().LoseDelete
			return lose != nil && lose(d)
		},
	}}
}

// faultsOfAll are those of the partitions, in order; its methods change all.
type faultsOfAll []*faults

func (all faultsOfAll) onCall(do func(memqueue.Op, int) error) {
	for _, f := range all {
		f.onCall(do)
	}
}

func (all faultsOfAll) onEntry(do func(memqueue.Op, int) error) {
	for _, f := range all {
		f.onEntry(do)
	}
}
