package memqueue

import "time"

// polls are the long polls that wait. Each is told of messages through a
// channel of capacity one: as many polls as there are visible messages are
// woken, the one that waits longest first, and whoever finds nothing waits on.
type polls struct {
	line  []chan struct{} // not yet woken
	timer *time.Timer     // brings back what is due while polls wait
	due   time.Time       // when it goes off; zero when it does not stand
}

func (p *polls) join() chan struct{} {
	c := make(chan struct{}, 1)
	p.line = append(p.line, c)
	return c
}

// rejoin puts a poll that was woken for nothing back in line.
func (p *polls) rejoin(c chan struct{}) { p.line = append(p.line, c) }

// leave takes a poll out of the line, if it still stands there.
func (p *polls) leave(c chan struct{}) {
	for i := range p.line {
		if p.line[i] == c {
			p.line = append(p.line[:i], p.line[i+1:]...)
			return
		}
	}
}

// wake tells up to n polls.
func (p *polls) wake(n int) {
	n = max(0, min(n, len(p.line)))
	for _, c := range p.line[:n] {
		c <- struct{}{}
	}
	p.line = p.line[n:]
}

// arm lets the timer stand for the first message that is due, as long as polls
// wait, and not otherwise. q.mu is held.
func (q *Queue) arm(now time.Time) {
	p := &q.polls
	if len(p.line) == 0 || len(q.store.hidden) == 0 {
		if p.timer != nil && !p.due.IsZero() {
			p.timer.Stop()
			p.due = time.Time{}
		}
		return
	}
	due := q.store.hidden[0].due
	if due.Equal(p.due) {
		return
	}
	p.due = due
	if p.timer == nil {
		p.timer = time.AfterFunc(due.Sub(now), q.tick)
		return
	}
	p.timer.Reset(due.Sub(now))
}

// tick is the timer's work.
func (q *Queue) tick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.polls.due = time.Time{}
	q.settle(time.Now())
}
