package memqueue

import "time"

// polls are the long polls that wait for a message. Each has a channel of
// capacity one. As many polls are woken as there are visible messages, those
// that have waited longest first. A poll that is woken and finds no message
// waits again.
type polls struct {
	line  []chan struct{} // of the polls that are not yet woken, the oldest first
	timer *time.Timer     // fires at due
	due   time.Time       // when the next hidden message becomes visible; zero while the timer is stopped
}

func (p *polls) join() chan struct{} {
	c := make(chan struct{}, 1)
	p.line = append(p.line, c)
	return c
}

// rejoin puts a poll that was woken and found no message back in line.
func (p *polls) rejoin(c chan struct{}) { p.line = append(p.line, c) }

// leave takes a poll out of the line, if it is still there.
func (p *polls) leave(c chan struct{}) {
	for i := range p.line {
		if p.line[i] == c {
			p.line = append(p.line[:i], p.line[i+1:]...)
			return
		}
	}
}

// wake wakes up to n polls.
func (p *polls) wake(n int) {
	n = max(0, min(n, len(p.line)))
	for _, c := range p.line[:n] {
		c <- struct{}{}
	}
	p.line = p.line[n:]
}

// arm sets the timer to the moment when the next hidden message becomes
// visible, or stops it if no poll waits or no message is hidden. q.mu is held.
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

// tick is called by the timer.
func (q *Queue) tick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.polls.due = time.Time{}
	q.settle(time.Now())
}
