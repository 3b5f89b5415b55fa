package sqs

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// write is a set of changes that are committed together.
type write struct {
	changes []change
	done    chan error // nil: no caller waits
}

// store makes changes durable. Its single goroutine commits all writes that
// arrived during the previous commit, so concurrent callers share an fsync. A
// nil store stores nothing.
type store struct {
	guard  panics.Guard
	db     *bbolt.DB
	update func(func(*bbolt.Tx) error) error // db.Update
	writes chan write
	ended  chan struct{}
}

const (
	commitAtMost = 4096                   // writes of one commit
	lazyAfter    = 100 * time.Millisecond // delay of changes for which no caller waits
)

func newStore(db *bbolt.DB, guard panics.Guard) *store {
	if db == nil {
		return nil
	}
	s := &store{db: db, guard: guard, update: db.Update, writes: make(chan write, commitAtMost), ended: make(chan struct{})}
	go s.run()
	return s
}

// close commits pending changes and stops. Nothing may be written after it.
func (s *store) close() {
	if s == nil {
		return
	}
	close(s.writes)
	<-s.ended
}

// commit returns once the changes are durable.
func (s *store) commit(changes ...change) error {
	if s == nil || len(changes) == 0 {
		return nil
	}
	done := make(chan error, 1)
	s.writes <- write{changes: changes, done: done}
	return <-done
}

// later makes changes durable within lazyAfter.
func (s *store) later(changes ...change) {
	if s == nil || len(changes) == 0 {
		return
	}
	s.writes <- write{changes: changes}
}

func (s *store) run() {
	defer close(s.ended)
	var lazy []change
	var due <-chan time.Time
	for {
		var batch []write
		select {
		case w, open := <-s.writes:
			if !open {
				_, _ = s.apply([]write{{changes: lazy}}) // only counts: they may be too low after a crash, and so may they here
				return
			}
			if w.done == nil {
				lazy = append(lazy, w.changes...)
				if due == nil {
					due = time.After(lazyAfter)
				}
				continue
			}
			batch = append(batch, w)
		case <-due:
		}
		due = nil
		batch = s.gather(batch)
		if s.settle(append(batch, write{changes: lazy})) {
			lazy = lazy[:0]
			continue
		}
		lazy = append(lazy, unwaited(batch)...) // repeated until they are written
		due = time.After(lazyAfter)
	}
}

func unwaited(batch []write) (changes []change) {
	for _, w := range batch {
		if w.done == nil {
			changes = append(changes, w.changes...)
		}
	}
	return changes
}

// gather adds the writes that are already queued, without waiting.
func (s *store) gather(batch []write) []write {
	for len(batch) < commitAtMost {
		select {
		case w, open := <-s.writes:
			if !open {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// settle commits the batch and sends each writer the result of its own changes.
// It returns false if nothing was written.
func (s *store) settle(batch []write) bool {
	var failed []error
	var err error
	if p := s.guard.Catch(func() { failed, err = s.apply(batch) }, nil); p != nil {
		err = p
	}
	for i, w := range batch {
		switch {
		case w.done == nil:
		case err != nil:
			w.done <- fmt.Errorf("commit messages: %w", err)
		default:
			w.done <- failed[i]
		}
	}
	return err == nil
}

func (s *store) apply(batch []write) (failed []error, err error) {
	err = s.update(func(tx *bbolt.Tx) error {
		failed = make([]error, len(batch))
		root, err := tx.CreateBucketIfNotExists(rootBucket)
		if err != nil {
			return err
		}
		for i, w := range batch {
			for _, c := range w.changes {
				err := c.apply(root)
				if errors.Is(err, errQueueGone) {
					failed[i] = err
				} else if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return failed, err
}
