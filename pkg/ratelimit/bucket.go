package ratelimit

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Rate is what a bucket lets through.
type Rate struct {
	PerSecond float64
	Burst     float64 // tokens that gather while nobody asks, at least 1
	Reserve   float64 // tokens that Ahead leaves to Waited, less than Burst
}

// MaxDebt bounds how far ahead Waited may reserve, so that callers who died
// asleep do not hold up the others for long.
const MaxDebt = 10 * time.Second

// Answer is what a bucket says to one ask: a token that is the asker's after
// Wait, or none, and to ask again after Wait.
type Answer struct {
	Granted bool
	Wait    time.Duration
}

// Bucket is a token bucket in memory, the same as the one in redisratelimit's Lua.
// Waited is served in the order of asking, by debt: the token is taken at once
// and paid for by waiting. Ahead never goes into debt, and is refused while
// there is one, so it never stands before a Waited that asked.
type Bucket struct {
	rate Rate

	mu     sync.Mutex
	tokens float64 // negative: debt
	at     time.Time
}

// NewBucket returns a bucket with one token: full would let a burst through
// whenever its memory was lost.
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
	floor := -MaxDebt.Seconds() * b.rate.PerSecond
	if p == Ahead {
		floor = b.rate.Reserve
	}
	left := b.tokens - 1
	if left < floor {
		return Answer{Wait: b.rate.seconds(floor - left)}
	}
	b.tokens = left
	return Answer{Granted: true, Wait: b.rate.seconds(-left)}
}

// Give takes a token back that was granted and not used.
func (b *Bucket) Give() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.rate.Burst, b.tokens+1)
}

// seconds is how long n tokens take to come.
func (r Rate) seconds(n float64) time.Duration {
	return time.Duration(max(0, n) / r.PerSecond * float64(time.Second))
}

// Pace asks until a token is granted and its wait is over. Where ctx ends
// during that wait it gives the token back. Waits are jittered upwards: nobody
// calls before its time, and those refused together do not ask again together.
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

// leastWait is before asking again: where a token is almost there the wait for it
// is rounded to nothing, and hundreds that ask again at once are a busy loop.
const leastWait = time.Millisecond

// jitter adds little to a wait for a token that is ours, so that order is kept
// roughly, and up to half to a wait before asking again.
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
