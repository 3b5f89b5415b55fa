package credential

import (
	"context"
	"sync"
	"time"
)

// keep remembers the answers of STS by key, and makes one call at a time for
// each. It never holds more than most answers: a worker of many tenants must
// not grow with them, and an answer that was dropped costs one call.
type keep struct {
	most int

	mu      sync.Mutex
	answers map[string]answer
	flights map[string]*flight
}

type answer struct {
	creds AWS
	err   error
	until time.Time
}

// flight is a call under way; its answer may be read once done is closed.
type flight struct {
	done chan struct{}
	answer
}

func newKeep(most int) *keep {
	return &keep{most: most, answers: map[string]answer{}, flights: map[string]*flight{}}
}

// get returns what is remembered under key, or what call answers. The call
// outlives the ctx of whoever came first, since others may wait for it too;
// each waits only as long as its own ctx.
func (k *keep) get(ctx context.Context, key string, call func(context.Context) (AWS, error)) (AWS, error) {
	k.mu.Lock()
	if a, ok := k.answers[key]; ok {
		if time.Now().Before(a.until) {
			k.mu.Unlock()
			return a.creds, a.err
		}
		delete(k.answers, key)
	}
	f, ok := k.flights[key]
	if !ok {
		f = &flight{done: make(chan struct{})}
		k.flights[key] = f
		go k.fly(context.WithoutCancel(ctx), key, f, call)
	}
	k.mu.Unlock()

	select {
	case <-f.done:
		return f.creds, f.err
	case <-ctx.Done():
		return AWS{}, context.Cause(ctx)
	}
}

func (k *keep) fly(ctx context.Context, key string, f *flight, call func(context.Context) (AWS, error)) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	defer close(f.done)
	f.creds, f.err = call(ctx)
	f.until = lasts(f.answer)

	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.flights, key)
	k.makeRoom()
	k.answers[key] = f.answer
}

// lasts is until when an answer is good.
func lasts(a answer) time.Time {
	switch {
	case a.err == nil:
		return a.creds.Expires.Add(-expiryMargin)
	case denied(a.err):
		return time.Now().Add(deniedFor)
	}
	return time.Now().Add(failedFor)
}

// makeRoom drops, of a few answers taken at random, the one that ends first:
// near enough to the oldest, and it costs the same however many there are.
func (k *keep) makeRoom() {
	const few = 16
	for len(k.answers) >= k.most {
		var first string
		var until time.Time
		n := 0
		for key, a := range k.answers { // the order of a map is random enough
			if n == 0 || a.until.Before(until) {
				first, until = key, a.until
			}
			if n++; n == few {
				break
			}
		}
		delete(k.answers, first)
	}
}
