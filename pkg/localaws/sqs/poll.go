package sqs

import (
	"container/list"
	"context"
	"time"
)

// received is a message as one delivery shows it.
type received struct {
	*message
	handle   string
	receives int
	firstAt  time.Time
}

// receive returns as soon as a message is there, and with none when the wait
// is over, the caller gone or the queue deleted. Dead ones come beside: the
// caller buries them.
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
	q.wake() // in case it was we who were woken
	q.mu.Unlock()
	return nil, nil
}

// sleep waits for a wake or the time. It is false when the queue is gone.
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
	q.polls.Remove(place) // does nothing where we were woken meanwhile: then we look once more
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

// wake wakes the longest waiting poll if there is something for it. It wakes
// one: who receives wakes the next, so a batch is not torn among many.
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

// setAlarm sees to it that polls are woken when the next message becomes
// visible by itself. An alarm that goes off too early does no harm.
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
	q.mu.Lock()
	defer q.mu.Unlock()
	q.alarmAt = time.Time{}
	q.engine.advance(time.Now())
	q.wake()
}

// end lets every poll go with nothing.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.alarm != nil {
		q.alarm.Stop()
	}
	close(q.gone)
}
