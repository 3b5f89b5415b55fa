package sqs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func testQueue(t *testing.T) *queue {
	set, err := parseSettings(nil)
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue("q", "arn:aws:sqs:us-east-1:1:q", queueRecord{}, set, 1, nil)
	t.Cleanup(q.end)
	return q
}

func (q *queue) put(t *testing.T, id string, delay time.Duration) {
	m := &message{ID: id, Body: id, SentAt: time.Now()}
	if delay > 0 {
		m.DelayedTo = time.Now().Add(delay)
	}
	if err := q.send([]*message{m}); err != nil {
		t.Fatal(err)
	}
}

// polled is the result of a poll, and its duration.
type polled struct {
	got  []received
	took time.Duration
}

func (q *queue) poll(ctx context.Context, wait time.Duration) <-chan polled {
	out := make(chan polled, 1)
	go func() {
		begin := time.Now()
		got, _ := q.receive(ctx, 10, time.Minute, wait)
		out <- polled{got, time.Since(begin)}
	}()
	return out
}

func TestAPollWakesAtOnceWhenAMessageIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		poll := q.poll(t.Context(), 20*time.Second)
		time.Sleep(3 * time.Second)
		q.put(t, "m", 0)
		if p := <-poll; len(p.got) != 1 || p.took != 3*time.Second {
			t.Error(len(p.got), p.took)
		}
	})
}

func TestAPollEndsEmptyWhenItsWaitIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		if p := <-q.poll(t.Context(), 20*time.Second); len(p.got) != 0 || p.took != 20*time.Second {
			t.Error(len(p.got), p.took)
		}
		if n := q.stats().Polls; n != 0 {
			t.Error("polls that stay on the list:", n)
		}
	})
}

func TestEndPollsLetsPollsGoWithWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		s := Server{short: make(chan struct{})}
		q.short = s.short
		poll := q.poll(t.Context(), 20*time.Second)
		time.Sleep(time.Second)
		s.EndPolls()
		s.EndPolls()
		if p := <-poll; len(p.got) != 0 || p.took != time.Second {
			t.Error("one that waits:", len(p.got), p.took)
		}
		q.put(t, "m", 0)
		for _, want := range []int{1, 0} {
			if p := <-q.poll(t.Context(), 20*time.Second); len(p.got) != want || p.took != 0 {
				t.Error("one that comes:", len(p.got), p.took)
			}
		}
	})
}

func TestAPollWakesWhenADelayIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		poll := q.poll(t.Context(), 20*time.Second)
		time.Sleep(time.Second)
		q.put(t, "later", 9*time.Second)
		q.put(t, "sooner", 4*time.Second)
		if p := <-poll; len(p.got) != 1 || p.got[0].ID != "sooner" || p.took != 5*time.Second {
			t.Error(len(p.got), p.took)
		}
	})
}

func TestAPollWakesWhenADeliveryIsPutBackOrRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		q.put(t, "m", 0)
		first := <-q.poll(t.Context(), 0)
		poll := q.poll(t.Context(), 20*time.Second)
		time.Sleep(time.Second)
		h, _ := parseHandle(first.got[0].handle)
		q.extend([]handle{h}, []time.Duration{5 * time.Second})
		second := <-poll
		if len(second.got) != 1 || second.took != 6*time.Second {
			t.Error("put back:", len(second.got), second.took)
		}
		q.extend([]handle{mustParse(t, second.got[0].handle)}, []time.Duration{15 * time.Second})
		if p := <-q.poll(t.Context(), 20*time.Second); len(p.got) != 1 || p.took != 15*time.Second {
			t.Error("ran out:", len(p.got), p.took)
		}
	})
}

func mustParse(t *testing.T, s string) handle {
	h, ok := parseHandle(s)
	if !ok {
		t.Fatal("no handle:", s)
	}
	return h
}

func TestABatchGoesToOnePollAndTheRestToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		first := q.poll(t.Context(), 20*time.Second)
		synctest.Wait()
		second := q.poll(t.Context(), 20*time.Second)
		synctest.Wait()
		ms := make([]*message, 12)
		for i := range ms {
			ms[i] = &message{ID: string(rune('a' + i)), SentAt: time.Now()}
		}
		if err := q.send(ms); err != nil {
			t.Fatal(err)
		}
		if a, b := <-first, <-second; len(a.got) != 10 || len(b.got) != 2 || b.took != 0 {
			t.Error(len(a.got), len(b.got), b.took)
		}
	})
}

func TestAMessageIsNotLostToAPollThatGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testQueue(t)
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := q.poll(ctx, 20*time.Second)
		synctest.Wait()
		waits := q.poll(t.Context(), 20*time.Second)
		synctest.Wait()
		cancel()
		q.put(t, "m", 0) // wakes the poll that is giving up
		a, b := <-gaveUp, <-waits
		if len(a.got) != 0 || len(b.got) != 1 || b.took != 0 {
			t.Error(len(a.got), len(b.got), b.took)
		}
	})
}

func TestPollsEndWithTheirQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, _ := parseSettings(nil)
		q := newQueue("q", "arn", queueRecord{}, set, 1, nil)
		poll := q.poll(t.Context(), 20*time.Second)
		synctest.Wait()
		q.end()
		if p := <-poll; len(p.got) != 0 || p.took != 0 {
			t.Error(len(p.got), p.took)
		}
	})
}
