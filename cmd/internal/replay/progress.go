package replay

import (
	"fmt"
	"time"
)

// Progress is a replay's progress.
type Progress struct {
	Requests, Sent, SendErrors int
	Results, InFlight          int
	Lost                       int // without a result for longer than Config.Wait
	Doubled                    int
	Oldest                     time.Duration // since the oldest run in flight was sent
	Rate                       float64       // results per second so far
}

func (b *Books) progress(now time.Time, wait time.Duration) Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := Progress{
		Requests: b.requests, Sent: b.sent, SendErrors: b.sendErrors,
		Results: b.results, InFlight: len(b.runs) - b.results - b.failed - b.before, Doubled: b.doubled,
	}
	for b.oldest < len(b.order) && !b.order[b.oldest].pending() {
		b.oldest++
	}
	if b.oldest < len(b.order) {
		p.Oldest = now.Sub(b.order[b.oldest].sentAt)
	}
	for _, e := range b.order[b.oldest:] {
		if now.Sub(e.sentAt) <= wait {
			break
		}
		if e.pending() {
			p.Lost++
		}
	}
	if passed := now.Sub(b.start).Seconds(); !b.start.IsZero() && passed > 0 {
		p.Rate = float64(p.Results) / passed
	}
	return p
}

func (p Progress) String() string {
	s := fmt.Sprintf("sent %s of %s, %s results, %.0f/s, %s in flight", grouped(p.Sent), grouped(p.Requests), grouped(p.Results), p.Rate, grouped(p.InFlight))
	if p.InFlight > 0 {
		s += fmt.Sprintf(" (the oldest for %s)", p.Oldest.Round(100*time.Millisecond))
	}
	s += fmt.Sprintf(", %s lost so far", grouped(p.Lost))
	if p.Doubled > 0 {
		s += fmt.Sprintf(", %s doubled", grouped(p.Doubled))
	}
	if p.SendErrors > 0 {
		s += fmt.Sprintf(", %s sends failed", grouped(p.SendErrors))
	}
	return s
}

// grouped formats n with a comma between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
