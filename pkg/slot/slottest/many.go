package slottest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

func manyAtOnce(t tester) {
	for round := range 10 {
		var granted atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				ask := slot.Ask{Scope: fmt.Sprint("s", round), Owner: fmt.Sprint("w", i), Cap: 7}
				if got, err := t.Slots.Take(t.ctx, []slot.Ask{ask}, ttl); err != nil {
					t.Error(err)
				} else if got[0] {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		if granted.Load() != 7 {
			t.Errorf("%d of 20 were granted, want 7", granted.Load())
		}
	}
}

func capHolds(t tester) {
	var working atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			asks := []slot.Ask{{Scope: "s", Owner: fmt.Sprint("w", i), Cap: 3}}
			for range 40 {
				if got, err := t.Slots.Take(t.ctx, asks, ttl); err != nil || !got[0] {
					continue
				}
				if n := working.Add(1); n > 3 {
					t.Errorf("%d at work", n)
				}
				_ = t.Slots.Renew(t.ctx, asks, ttl)
				working.Add(-1)
				_ = t.Slots.Give(t.ctx, asks)
			}
		})
	}
	wg.Wait()
	t.inUse("s", 0)
}

// agreesWithModel does random operations on two scopes and on a map, and
// compares the two.
func agreesWithModel(t tester) {
	cases := 0
	// The struct hides t.Deadline, which must not be called in a synctest
	// bubble.
	rapid.Check(struct{ testing.TB }{t.T}, func(r *rapid.T) {
		if cases++; t.Slow && cases > 15 {
			return
		}
		t.Flush()
		var now time.Duration
		ends := map[string]map[string]time.Duration{"s1": {}, "s2": {}}
		ask := func(r *rapid.T) slot.Ask {
			return slot.Ask{
				Scope: rapid.SampledFrom([]string{"s1", "s2"}).Draw(r, "scope"),
				Owner: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(r, "owner"),
				Cap:   rapid.IntRange(0, 3).Draw(r, "cap"),
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"": func(r *rapid.T) {
				for s, owners := range ends {
					if got, err := t.Slots.InUse(t.ctx, []string{s}); err != nil || got[0] != len(owners) {
						r.Fatalf("%d slots of %s are in use (%v), want %d", got, s, err, len(owners))
					}
				}
			},
			"take": func(r *rapid.T) {
				a := ask(r)
				got, err := t.Slots.Take(t.ctx, []slot.Ask{a}, ttl)
				_, has := ends[a.Scope][a.Owner]
				want := has || len(ends[a.Scope]) < a.Cap
				if err != nil || got[0] != want {
					r.Fatalf("Take answers %v (%v), want %v", got, err, want)
				}
				if want {
					ends[a.Scope][a.Owner] = now + ttl
				}
			},
			"renew": func(r *rapid.T) {
				a := ask(r)
				t.ok(t.Slots.Renew(t.ctx, []slot.Ask{a}, ttl))
				ends[a.Scope][a.Owner] = now + ttl
			},
			"give": func(r *rapid.T) {
				a := ask(r)
				t.ok(t.Slots.Give(t.ctx, []slot.Ask{a}))
				delete(ends[a.Scope], a.Owner)
			},
			"pass": func(r *rapid.T) {
				d := rapid.SampledFrom([]time.Duration{ttl * 2 / 5, ttl + time.Second}).Draw(r, "pass")
				t.Pass(d)
				now += d
				for _, owners := range ends {
					for owner, end := range owners {
						if end <= now {
							delete(owners, owner)
						}
					}
				}
			},
		})
	})
}
