package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// backlog is a queue that gets messages at a rate and is polled every 10 ms, as
// Polls says.
type backlog struct {
	*queue.Polls
	waiting, further int
	polls, brought   int
}

// round makes each poll once, the further ones after the first.
func (b *backlog) round() {
	begin := b.Came(b.take(), queue.MaxBatch)
	for range b.further {
		n := b.take()
		begin += b.FurtherCame(n, queue.MaxBatch, 10*time.Millisecond)
		if n < queue.MaxBatch {
			b.Ended()
			b.further--
		}
	}
	b.further += begin
	time.Sleep(10 * time.Millisecond)
}

func (b *backlog) take() int {
	n := min(b.waiting, queue.MaxBatch)
	b.waiting -= n
	b.polls++
	b.brought += n
	return n
}

func TestBurstIsTakenInFewRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{Polls: queue.NewPolls(48), waiting: 3000}
		rounds := 0
		for ; b.waiting > 0; rounds++ {
			b.round()
		}
		if rounds > 10 {
			t.Errorf("3,000 messages are taken in %d rounds", rounds)
		}
		for range 2 {
			b.round()
		}
		if b.further != 0 || b.polls > 300+48+2 {
			t.Errorf("%d further polls are made beside an empty queue, %d in all", b.further, b.polls)
		}
	})
}

func TestSteadyLoadIsTakenInFullPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{Polls: queue.NewPolls(48)}
		run := func() {
			for range 300 {
				b.waiting += 20 + time.Now().Nanosecond()/int(10*time.Millisecond)%3 - 1
				b.round()
			}
		}
		run()
		b.polls, b.brought = 0, 0
		run()
		if b.waiting > 100 {
			t.Errorf("%d messages wait: there are too few polls", b.waiting)
		}
		if each := float64(b.brought) / float64(b.polls); each < 8 {
			t.Errorf("a poll brings %.1f messages", each)
		}
	})
}
