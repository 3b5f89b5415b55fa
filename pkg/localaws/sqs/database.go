package sqs

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// The database has a bucket "sqs", with a bucket for each queue by its name.
// That contains
//
//	"queue"     key: the queue's attributes and tags, JSON
//	"messages"  bucket: sequence number → message, JSON
//	"receives"  bucket: sequence number → how often received, and first when
//
// Receive counts are written with the next commit for which a caller waits, or
// after lazyAfter. After a crash they may be a little too low.
var (
	rootBucket     = []byte("sqs")
	queueKey       = []byte("queue")
	messagesBucket = []byte("messages")
	receivesBucket = []byte("receives")
)

var errQueueGone = errors.New("the queue was deleted")

// change is one thing to write. Besides queue, exactly one of its fields is
// set.
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

// queueRecord is the stored record of a queue itself.
type queueRecord struct {
	Attributes map[string]string `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
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
		return nil // the queue was deleted, and the message with it
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
		messages.FillPercent = 0.9 // keys only grow, so pages are filled in order
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

// stored is a queue as read from the database.
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
