package credential

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// cache remembers the answers of STS by key, and makes one call at a time for
// each key. It holds at most most answers, so a worker's memory does not grow
// with the number of tenants. An answer that was dropped costs one call.
type cache struct {
	most    int
	margin  time.Duration // keys are not given any more when they are valid for less than this
	flights singleflight.Group

	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	creds AWS
	err   error
	until time.Time
}

func newCache(most int, margin time.Duration) *cache {
	return &cache{most: most, margin: margin, answers: map[string]answer{}}
}

// get returns the remembered answer of key, or the answer of call. Each caller
// waits until its own ctx ends; the end of the first caller's ctx does not end
// the call, since others may wait for it. If call panics, get panics in each
// caller that waits, since the callers' goroutines are guarded and the flight's
// is not.
func (c *cache) get(ctx context.Context, key string, call func(context.Context) (AWS, error)) (AWS, error) {
	if a, ok := c.remembered(key); ok {
		return a.creds, a.err
	}
	flight := c.flights.DoChan(key, func() (any, error) {
		// Another flight may have ended since the answer was looked for.
		a, ok := c.remembered(key)
		if ok {
			return a, nil
		}
		if p := panics.Catch(func() { a = c.ask(context.WithoutCancel(ctx), key, call) }); p != nil {
			return nil, p
		}
		return a, nil
	})
	select {
	case landed := <-flight:
		if landed.Err != nil {
			panic(landed.Err)
		}
		a := landed.Val.(answer)
		return a.creds, a.err
	case <-ctx.Done():
		return AWS{}, context.Cause(ctx)
	}
}

// remembered returns the answer of key, if it is still good.
func (c *cache) remembered(key string) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answers[key]
	return a, ok && time.Now().Before(a.until)
}

// drop forgets the answer of key, if meant returns true for it.
func (c *cache) drop(key string, meant func(answer) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.answers[key]; ok && meant(a) {
		delete(c.answers, key)
	}
}

// ask makes the call, and remembers its answer.
func (c *cache) ask(ctx context.Context, key string, call func(context.Context) (AWS, error)) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	a.creds, a.err = call(ctx)
	a.until = c.lasts(a)

	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, key)
	c.makeRoom()
	c.answers[key] = a
	return a
}

// lasts returns the time until which an answer is good.
func (c *cache) lasts(a answer) time.Time {
	switch {
	case a.err == nil:
		return a.creds.Expires.Add(-c.margin)
	case denied(a.err):
		return time.Now().Add(deniedFor)
	}
	return time.Now().Add(failedFor)
}

// makeRoom drops an answer if the cache is full: of 16 random ones, the one
// that ends first. That is close to the oldest, and its cost does not grow with
// the cache.
func (c *cache) makeRoom() {
	const few = 16
	for len(c.answers) >= c.most {
		var first string
		var until time.Time
		n := 0
		for key, a := range c.answers { // the order of a map is random enough
			if n == 0 || a.until.Before(until) {
				first, until = key, a.until
			}
			if n++; n == few {
				break
			}
		}
		delete(c.answers, first)
	}
}
