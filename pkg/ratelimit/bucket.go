package ratelimit

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Rate is the rate of a bucket.
type Rate struct {
	PerSecond float64 // tokens added a second
	Burst     float64 // most tokens that the bucket holds, at least 1
	Reserve   float64 // tokens that Ahead leaves to the others, at most Burst - 1
}

// Floor is how many tokens a grant must leave in the bucket. Waited may reserve
// tokens of the future, up to MaxDebt. Each priority after it leaves another
// equal part of Reserve to those before it: while they ask, the bucket does not
// fill so far that a lower priority is granted a token.
func (r Rate) Floor(p Priority) float64 {
	if p == Waited {
		return -MaxDebt.Seconds() * r.PerSecond
	}
	return r.Reserve * float64(p) / float64(Ahead)
}

// MaxDebt bounds how far into the future Waited may reserve tokens: a caller
// that died while it waited for its token delays the others by at most this
// time.
const MaxDebt = 10 * time.Second

// Answer is the answer of a bucket. If Granted, the caller has a token that it
// may use after Wait. If not, it may ask again after Wait.
type Answer struct {
	Granted bool
	Wait    time.Duration
}

// Bucket is a token bucket in memory, with the same rules as the one in
// redisratelimit's Lua:
//
//	tokens' = min(Burst, tokens + PerSecond·elapsed) − 1
//	granted if tokens' ≥ Floor(priority)
//
// If tokens' is negative, the bucket is in debt, and the caller waits until the
// debt is paid: −tokens' / PerSecond. So Waited callers go in the order in
// which they asked, and no other goes before a Waited caller that has asked.
type Bucket struct {
	rate Rate

	mu     sync.Mutex
	tokens float64   // negative while the bucket is in debt
	at     time.Time // of the last Take
}

// NewBucket returns a bucket with one token. A full one would allow a burst
// each time that the bucket is made again.
func NewBucket(r Rate) *Bucket { return &Bucket{rate: r, tokens: 1} }

// Take asks for a token at now.
func (b *Bucket) Take(now time.Time, p Priority) Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.at = now
	}
	passed := max(0, now.Sub(b.at)) // the clock may be set back
	b.tokens = min(b.rate.Burst, b.tokens+passed.Seconds()*b.rate.PerSecond)
	b.at = now
	floor := b.rate.Floor(p)
	left := b.tokens - 1
	if left < floor {
		return Answer{Wait: b.rate.seconds(floor - left)}
	}
	b.tokens = left
	return Answer{Granted: true, Wait: b.rate.seconds(-left)}
}

// Give puts back a token that was granted and not used.
func (b *Bucket) Give() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.rate.Burst, b.tokens+1)
}

// seconds is how long the bucket takes to get n tokens.
func (r Rate) seconds(n float64) time.Duration {
	return time.Duration(max(0, n) / r.PerSecond * float64(time.Second))
}

// Pace asks until a token is granted, then waits for the answer's Wait. If ctx
// ends during that wait, it gives the token back. Jitter only makes waits
// longer, so no caller uses a token too early, and callers refused together ask
// again at different times.
func Pace(ctx context.Context, ask func() (Answer, error), give func()) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, err := ask()
		if err != nil {
			return err
		}
		if err := sleep(ctx, jitter(a)); err != nil {
			if a.Granted {
				give()
			}
			return err
		}
		if a.Granted {
			return nil
		}
	}
}

// leastWait is the shortest wait before asking again. A wait rounded to 0 would
// make Pace a busy loop.
const leastWait = time.Millisecond

// jitter lengthens the wait of a granted token by up to 5 %, which mostly keeps
// the order of callers, and the wait before asking again by up to 50 %.
func jitter(a Answer) time.Duration {
	switch {
	case !a.Granted:
		wait := max(a.Wait, leastWait)
		return wait + rand.N(wait/2+1)
	case a.Wait <= 0:
		return 0
	default:
		return a.Wait + rand.N(a.Wait/20+1)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
