package sqs

import (
	"container/list"
	"context"
	"time"

	"go.uber.org/zap"
)

// received is a message with the values of one delivery.
type received struct {
	*message
	handle   string
	receives int
	firstAt  time.Time
}

// receive returns once it has a message; or with none once wait is over, ctx
// ends, or the queue is deleted. The caller moves the dead ones to the
// dead-letter queue.
func (q *queue) receive(ctx context.Context, most int, visibility, wait time.Duration) (got []received, dead []*message) {
	deadline := time.Now().Add(wait)
	for ctx.Err() == nil {
		q.mu.Lock()
		now := time.Now()
		got, dead = q.take(now, most, visibility)
		if len(got) > 0 || len(dead) > 0 || !now.Before(deadline) || q.endsPolls() {
			q.wake()
			q.mu.Unlock()
			return got, dead
		}
		poll := make(chan struct{}, 1)
		place := q.polls.PushBack(poll)
		q.setAlarm(now)
		q.mu.Unlock()
		if !q.sleep(ctx, poll, place, deadline.Sub(now)) {
			return nil, nil
		}
	}
	q.mu.Lock()
	q.wake() // in case a wake-up was meant for this poll
	q.mu.Unlock()
	return nil, nil
}

// sleep waits for a wake-up, at most for d. It returns false if the queue was
// deleted.
func (q *queue) sleep(ctx context.Context, poll chan struct{}, place *list.Element, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-poll:
		return true
	case <-timer.C:
	case <-q.short:
	case <-ctx.Done():
	case <-q.gone:
		return false
	}
	q.mu.Lock()
	q.polls.Remove(place) // has no effect if this poll was woken meanwhile: the caller then looks once more
	q.mu.Unlock()
	return true
}

func (q *queue) endsPolls() bool {
	select {
	case <-q.short:
		return true
	default:
		return false
	}
}

// wake wakes the poll that has waited longest, if there is a message. It wakes
// only one; that poll wakes the next after its receive, so that the messages of
// one send are not spread over many polls.
func (q *queue) wake() {
	if q.polls.Len() == 0 {
		return
	}
	if !q.engine.deliverable() {
		q.setAlarm(time.Now())
		return
	}
	first := q.polls.Front()
	q.polls.Remove(first)
	first.Value.(chan struct{}) <- struct{}{}
}

// setAlarm sets the timer that wakes a poll when the next message becomes
// visible by itself. A timer that fires too early does no harm.
func (q *queue) setAlarm(now time.Time) {
	due, ok := q.engine.nextDue()
	if !ok || (!q.alarmAt.IsZero() && !due.Before(q.alarmAt)) {
		return
	}
	q.alarmAt = due
	if q.alarm == nil {
		q.alarm = time.AfterFunc(due.Sub(now), q.ring)
		return
	}
	q.alarm.Reset(due.Sub(now))
}

func (q *queue) ring() {
	q.guard.Catch(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.alarmAt = time.Time{}
		q.engine.advance(time.Now())
		q.wake()
	}, func() []zap.Field { return []zap.Field{zap.String("queue", q.name)} })
}

// end ends every waiting poll without a message.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.alarm != nil {
		q.alarm.Stop()
	}
	close(q.gone)
}
