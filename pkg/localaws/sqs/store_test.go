package sqs

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

func testStore(t *testing.T) *store {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "stack.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(db, panics.Guard{})
	t.Cleanup(func() { db.Close() })
	if err := s.commit(change{queue: "q", create: &queueRecord{Created: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestACountThatComesAfterTheDeleteLeavesNothingBehind(t *testing.T) {
	s := testStore(t)
	if err := s.commit(change{queue: "q", put: &message{seq: 1, ID: "m"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.commit(change{queue: "q", drop: 1}); err != nil {
		t.Fatal(err)
	}
	s.later(change{queue: "q", received: &receivedMark{1, 7, time.Now()}})
	s.close()
	err := s.db.View(func(tx *bbolt.Tx) error {
		q := tx.Bucket(rootBucket).Bucket([]byte("q"))
		for _, name := range [][]byte{messagesBucket, receivesBucket} {
			if key, _ := q.Bucket(name).Cursor().First(); key != nil {
				t.Errorf("%s still holds %x", name, key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACountThatNobodyWaitsForIsWrittenByItself(t *testing.T) {
	s := testStore(t)
	defer s.close()
	if err := s.commit(change{queue: "q", put: &message{seq: 1, ID: "m"}}); err != nil {
		t.Fatal(err)
	}
	s.later(change{queue: "q", received: &receivedMark{1, 7, time.Now()}})
	wait.Until(t, 10*time.Second, "it is not written", func() bool {
		found, err := s.load()
		if err != nil {
			t.Fatal(err)
		}
		return found["q"].messages[0].receives == 7
	})
}

func TestAMessageForADeletedQueueFailsAlone(t *testing.T) {
	s := testStore(t)
	defer s.close()
	failed, err := s.apply([]write{
		{changes: []change{{queue: "gone", put: &message{seq: 1}}}},
		{changes: []change{{queue: "q", put: &message{seq: 1}}}},
	})
	if err != nil || failed[0] != errQueueGone || failed[1] != nil {
		t.Error(failed, err)
	}
}

func TestADeleteThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	good := testStore(t)
	defer good.close()
	if err := good.commit(change{queue: "q", put: &message{seq: 1, ID: "m"}}); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	s := &store{db: good.db, writes: make(chan write, 8), ended: make(chan struct{}), update: func(do func(*bbolt.Tx) error) error {
		if full.Load() {
			return errors.New("no space left on device")
		}
		return good.db.Update(do)
	}}
	go s.run()
	q := newQueue("q", "arn", queueRecord{}, settings{retention: time.Hour}, 1, s)
	defer q.end()
	q.restore(time.Now(), []*message{{seq: 1, ID: "m", SentAt: time.Now()}})
	got, _ := q.receive(t.Context(), 1, time.Minute, 0)
	full.Store(true)
	if _, err := q.delete([]handle{mustParse(t, got[0].handle)}); err == nil {
		t.Fatal("the delete was answered with success")
	}
	full.Store(false)
	s.close()
	if found, err := good.load(); err != nil || len(found["q"].messages) != 0 {
		t.Error("the deleted message is still there", err)
	}
}

func TestPanicInACommitFailsItsCallsAlone(t *testing.T) {
	s := testStore(t)
	defer s.close()
	update := s.update
	var counted atomic.Int32
	s.guard = panics.Guard{Count: func() { counted.Add(1) }}
	s.update = func(func(*bbolt.Tx) error) error { panic("a fault of ours") }
	var p *panics.Error
	if err := s.commit(change{queue: "q", put: &message{seq: 1, ID: "m"}}); !errors.As(err, &p) || counted.Load() != 1 {
		t.Errorf("it ends with %v, %d are counted", err, counted.Load())
	}
	s.update = update
	if err := s.commit(change{queue: "q", put: &message{seq: 1, ID: "m"}}); err != nil {
		t.Errorf("the next one ends with %v", err)
	}
}
