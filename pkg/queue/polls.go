package queue

import "sync"

// Polls decides how many polls of one queue are under way at once: as few as
// keep up with it. One poll is always made, and may be a long one. The further
// ones should not wait: each is repeated only while it is needed.
//
// The number that is needed grows when as many polls in a row as are needed now
// came full: there is a backlog. From n it grows to 2n², so to 2, 8 and 128: one
// that was hardly too few is found out by one poll more, and a burst is taken in
// few round trips. Each poll that does not come full lowers it by one.
type Polls struct {
	most int

	mu      sync.Mutex
	needed  int // the first one included
	further int // under way
	full    int // polls in a row that came full
}

// NewPolls returns a Polls for at most that many at once.
func NewPolls(most int) *Polls { return &Polls{most: max(1, most), needed: 1} }

// Came records the result of a poll: whether it brought as many deliveries as
// it asked for. It returns how many further polls to begin now; each must end
// with a call of Ended.
func (p *Polls) Came(full bool) (begin int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !full {
		p.needed, p.full = max(1, p.needed-1), 0
		return 0
	}
	if p.full++; p.full >= p.needed {
		p.needed, p.full = min(p.most, 4*p.needed*p.needed), 0
	}
	begin = max(0, p.needed-1-p.further)
	p.further += begin
	return begin
}

// Ended records that a further poll is not repeated.
func (p *Polls) Ended() {
	p.mu.Lock()
	p.further--
	p.mu.Unlock()
}
