package sqs

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// The database: bucket "sqs", in it a bucket for each queue by its name, in it
//
//	"queue"     key: the queue's attributes and tags, JSON
//	"messages"  bucket: sequence number → message, JSON
//	"receives"  bucket: sequence number → how often received, and first when
//
// Receive counts are written with the next commit that somebody waits for, or
// a moment later: after a crash they may be a little low.
var (
	rootBucket     = []byte("sqs")
	queueKey       = []byte("queue")
	messagesBucket = []byte("messages")
	receivesBucket = []byte("receives")
)

var errQueueGone = errors.New("the queue was deleted")

// change is one thing to write. Exactly one of the fields is set beside queue.
type change struct {
	queue    string
	put      *message
	drop     uint64
	received *receivedMark
	create   *queueRecord
	destroy  bool
	purge    bool
}

type receivedMark struct {
	seq     uint64
	count   int
	firstAt time.Time
}

// queueRecord is what is kept of a queue itself.
type queueRecord struct {
	Attributes map[string]string `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
}

// write is a set of changes that become durable together.
type write struct {
	changes []change
	done    chan error // nil where nobody waits
}

// store makes changes durable. Its one goroutine commits all that has come in
// while the last commit ran, so concurrent callers share a sync of the disk.
// A nil store keeps nothing.
type store struct {
	db     *bbolt.DB
	writes chan write
	ended  chan struct{}
}

const (
	commitAtMost = 4096                   // writes of one commit
	lazyAfter    = 100 * time.Millisecond // how long unwaited changes may lie
)

func newStore(db *bbolt.DB) *store {
	if db == nil {
		return nil
	}
	s := &store{db: db, writes: make(chan write, commitAtMost), ended: make(chan struct{})}
	go s.run()
	return s
}

// close commits what is left and stops. Nothing may be written after it.
func (s *store) close() {
	if s == nil {
		return
	}
	close(s.writes)
	<-s.ended
}

// commit returns when the changes are durable.
func (s *store) commit(changes ...change) error {
	if s == nil || len(changes) == 0 {
		return nil
	}
	done := make(chan error, 1)
	s.writes <- write{changes: changes, done: done}
	return <-done
}

// later makes changes durable some time soon.
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
				_, _ = s.apply([]write{{changes: lazy}}) // counts that may be low after a crash may be low now
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
		s.settle(append(batch, write{changes: lazy}))
		lazy = lazy[:0]
	}
}

// gather takes what else is waiting, without waiting itself.
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

// settle commits the batch and tells each writer how its own changes fared.
func (s *store) settle(batch []write) {
	failed, err := s.apply(batch)
	for i, w := range batch {
		switch {
		case w.done == nil:
		case err != nil:
			w.done <- fmt.Errorf("commit messages: %w", err)
		default:
			w.done <- failed[i]
		}
	}
}

func (s *store) apply(batch []write) (failed []error, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
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

func (c change) apply(root *bbolt.Bucket) error {
	name := []byte(c.queue)
	if c.create != nil {
		return c.applyCreate(root)
	}
	q := root.Bucket(name)
	if q == nil {
		if c.put != nil {
			return errQueueGone
		}
		return nil // what is to be dropped went with its queue
	}
	if c.destroy {
		return root.DeleteBucket(name)
	}
	messages, receives := q.Bucket(messagesBucket), q.Bucket(receivesBucket)
	switch {
	case c.purge:
		return empty(q)
	case c.put != nil:
		text, err := json.Marshal(c.put)
		if err != nil {
			return err
		}
		messages.FillPercent = 0.9 // keys only ever grow
		return messages.Put(seqKey(c.put.seq), text)
	case c.received != nil:
		return c.received.apply(messages, receives)
	}
	if err := receives.Delete(seqKey(c.drop)); err != nil {
		return err
	}
	return messages.Delete(seqKey(c.drop))
}

func (c change) applyCreate(root *bbolt.Bucket) error {
	q, err := root.CreateBucketIfNotExists([]byte(c.queue))
	if err != nil {
		return err
	}
	for _, name := range [][]byte{messagesBucket, receivesBucket} {
		if _, err := q.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	text, err := json.Marshal(c.create)
	if err != nil {
		return err
	}
	return q.Put(queueKey, text)
}

func empty(q *bbolt.Bucket) error {
	for _, name := range [][]byte{messagesBucket, receivesBucket} {
		if err := q.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := q.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

func (r receivedMark) apply(messages, receives *bbolt.Bucket) error {
	key := seqKey(r.seq)
	if messages.Get(key) == nil {
		return nil // it was deleted before its count was written
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(r.count))
	binary.BigEndian.PutUint64(b[8:], uint64(r.firstAt.UnixMilli()))
	return receives.Put(key, b[:])
}

func seqKey(seq uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], seq)
	return b[:]
}

// stored is a queue as it was found in the database.
type stored struct {
	record   queueRecord
	messages []*message // in the order of sending
}

// load reads all queues.
func (s *store) load() (map[string]stored, error) {
	found := map[string]stored{}
	if s == nil {
		return found, nil
	}
	err := s.db.View(func(tx *bbolt.Tx) error {
		root := tx.Bucket(rootBucket)
		if root == nil {
			return nil
		}
		return root.ForEachBucket(func(name []byte) error {
			q, err := loadQueue(root.Bucket(name))
			found[string(name)] = q
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load queues: %w", err)
	}
	return found, nil
}

func loadQueue(b *bbolt.Bucket) (q stored, err error) {
	if err := json.Unmarshal(b.Get(queueKey), &q.record); err != nil {
		return q, err
	}
	receives := b.Bucket(receivesBucket)
	err = b.Bucket(messagesBucket).ForEach(func(key, text []byte) error {
		m := &message{seq: binary.BigEndian.Uint64(key)}
		if err := json.Unmarshal(text, m); err != nil {
			return err
		}
		if mark := receives.Get(key); len(mark) == 16 {
			m.receives = int(binary.BigEndian.Uint64(mark[:8]))
			m.firstAt = time.UnixMilli(int64(binary.BigEndian.Uint64(mark[8:])))
		}
		q.messages = append(q.messages, m)
		return nil
	})
	return q, err
}
