package queue

import (
	"math"
	"sync"
	"time"
)

// Polls decides how many polls of one queue are under way at once: as few as
// keep up with it. One poll is always made, and may be a long one. The further
// ones should not wait: each is repeated only while it is needed.
//
// The number that is needed grows when as many polls in a row as are needed now
// came full: there is a backlog. On a queue that was idle it grows from n to
// 4n²: a burst is taken by 1, 4 and then 64 polls, or as many as are allowed. Up to twice what the queue
// usually needs by its rate, and shortly after one that came empty, it grows
// by one; and while as many as are usual are enough, only when several times as
// many came full. So a steady load has few polls that bring little. Each poll
// that does not come full lowers it by one.
type Polls struct {
	most int

	mu      sync.Mutex
	needed  int           // the first one included
	further int           // under way
	full    int           // polls in a row that came full
	rate    float64       // deliveries a second
	seen    time.Time     // when rate was counted last
	empty   time.Time     // when a further poll came empty last
	took    time.Duration // by the last further poll that came full
}

const (
	// usualFor is the time over which the rate is averaged.
	usualFor = 300 * time.Millisecond
	// steady is how many times as many polls must come full before one is added to
	// as many as are usual.
	steady = 4
)

// NewPolls returns a Polls for at most that many at once.
func NewPolls(most int) *Polls { return &Polls{most: max(1, most), needed: 1, took: pollTakes} }

// pollTakes is how long a poll takes that does not wait, until one has.
const pollTakes = 10 * time.Millisecond

// Came records that the first poll brought n deliveries, of as many as it asked
// for. It returns how many further polls to begin now; each must end with a call
// of Ended.
func (p *Polls) Came(n, asked int) (begin int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.came(n, asked)
}

// FurtherCame is Came for a further poll, which took that long.
func (p *Polls) FurtherCame(n, asked int, took time.Duration) (begin int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case n == 0:
		p.empty = time.Now()
	case n == asked:
		p.took = took
	}
	return p.came(n, asked)
}

// came returns how many further polls to begin. The caller holds mu.
func (p *Polls) came(n, asked int) (begin int) {
	now := time.Now()
	p.rate = p.rate*math.Exp(-now.Sub(p.seen).Seconds()/usualFor.Seconds()) + float64(n)/usualFor.Seconds()
	p.seen = now
	if n < asked {
		p.needed, p.full = max(1, p.needed-1), 0
		return 0
	}
	if p.full++; p.full >= p.needed {
		p.grow()
	}
	begin = max(0, p.needed-1-p.further)
	p.further += begin
	return begin
}

// grow makes further polls needed, or waits for more that come full. The caller
// holds mu.
func (p *Polls) grow() {
	usual := p.rate * p.took.Seconds() / MaxBatch
	switch {
	case float64(p.needed) > 2*usual && time.Since(p.empty) > usualFor:
		p.needed, p.full = min(p.most, 4*p.needed*p.needed), 0
	case p.full >= steady*p.needed || float64(p.needed) > usual:
		p.needed, p.full = min(p.most, p.needed+1), 0
	}
}

// Ended records that a further poll is not repeated.
func (p *Polls) Ended() {
	p.mu.Lock()
	p.further--
	p.mu.Unlock()
}
