package fair

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// serve takes n entries, charges each tenant the cost of one of its entries,
// and returns how many entries of each tenant were taken.
func serve(q *Queue[string], n int, cost map[string]float64) map[string]int {
	turns := map[string]int{}
	for range n {
		name, ok := q.Next()
		if !ok {
			break
		}
		turns[name]++
		q.Charge(name, cost[name])
	}
	return turns
}

func TestATenantThatWaitsWithThousandsGetsNoMoreThanOneThatWaitsWithFew(t *testing.T) {
	q := New[string]()
	for range 10000 {
		q.Push("flood", 1, "flood")
	}
	for range 10 {
		q.Push("quiet", 1, "quiet")
	}
	turns := serve(q, 20, map[string]float64{"flood": 1, "quiet": 1})
	if turns["quiet"] != 10 {
		t.Fatalf("quiet had %d of 20 turns, want 10", turns["quiet"])
	}
}

func TestSharesAreOfSecondsAndNotOfRuns(t *testing.T) {
	q := New[string]()
	for range 1000 {
		q.Push("slow", 1, "slow")
		q.Push("fast", 1, "fast")
	}
	turns := serve(q, 505, map[string]float64{"slow": 100, "fast": 1})
	if turns["slow"] > 6 {
		t.Fatalf("slow had %d turns of 100 s beside %d of 1 s", turns["slow"], turns["fast"])
	}
}

func TestWeightsSetTheProportion(t *testing.T) {
	q := New[string]()
	for range 1000 {
		q.Push("heavy", 3, "heavy")
		q.Push("light", 1, "light")
	}
	turns := serve(q, 400, map[string]float64{"heavy": 1, "light": 1})
	if turns["heavy"] < 295 || turns["heavy"] > 305 {
		t.Fatalf("heavy had %d of 400 turns, want 300", turns["heavy"])
	}
}

func TestIdlingEarnsNoCredit(t *testing.T) {
	q := New[string]()
	for range 200 {
		q.Push("busy", 1, "busy")
	}
	serve(q, 100, map[string]float64{"busy": 1})
	for range 200 {
		q.Push("back", 1, "back")
	}
	turns := serve(q, 20, map[string]float64{"busy": 1, "back": 1})
	if turns["back"] > 11 {
		t.Fatalf("a tenant that idled had %d of the next 20 turns", turns["back"])
	}
}

func TestOveruseIsRememberedWhileTheTenantIsAway(t *testing.T) {
	q := New[string]()
	q.Push("other", 1, "other")
	q.Push("hog", 1, "hog")
	serve(q, 2, map[string]float64{"hog": 50, "other": 1})
	q.Push("hog", 1, "hog")
	for range 10 {
		q.Push("other", 1, "other")
	}
	if turns := serve(q, 10, map[string]float64{"hog": 50, "other": 1}); turns["hog"] != 0 {
		t.Fatal("the tenant that had used 50 s went before those that had used 1 s")
	}
}

func TestIdleTenantsCostNothing(t *testing.T) {
	q := New[string]()
	for i := range 100_000 {
		name := fmt.Sprint("tenant-", i)
		q.Push(name, 1, name)
		serve(q, 1, map[string]float64{name: 1})
	}
	if n := len(q.tenants); n > 2*maxIdle {
		t.Fatalf("%d idle tenants are remembered", n)
	}
}

func TestNothingIsLostOrServedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := New[int]()
		entries := map[int]*Entry[int]{}
		next, served := 0, map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "tenant")
				entries[next] = q.Push(name, rapid.Float64Range(0, 4).Draw(t, "weight"), next)
				next++
			},
			"next": func(t *rapid.T) {
				v, ok := q.Next()
				if ok != (len(entries) > 0) {
					t.Fatalf("Next says %v with %d waiting", ok, len(entries))
				}
				if ok && served[v] {
					t.Fatalf("%d is served twice", v)
				}
				if ok {
					served[v] = true
					if q.Remove(entries[v]) {
						t.Fatal("an entry that was served is removed again")
					}
					delete(entries, v)
				}
			},
			"remove": func(t *rapid.T) {
				for v, e := range entries {
					if !q.Remove(e) {
						t.Fatal("an entry that waits can't be removed")
					}
					delete(entries, v)
					return
				}
			},
			"charge": func(t *rapid.T) {
				q.Charge(rapid.SampledFrom([]string{"a", "b", "z"}).Draw(t, "tenant"), rapid.Float64Range(-1, 100).Draw(t, "seconds"))
			},
			"": func(t *rapid.T) {
				if q.Len() != len(entries) {
					t.Fatalf("Len is %d with %d waiting", q.Len(), len(entries))
				}
			},
		})
	})
}

func BenchmarkPushNextCharge(b *testing.B) {
	q := New[int]()
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprint("tenant-", i)
		q.Push(names[i], 1, i)
	}
	for b.Loop() {
		i, _ := q.Next()
		q.Charge(names[i], 1)
		q.Push(names[i], 1, i)
	}
}

func TestNextOfPassesOverThoseWhoMayNotAndTakesNothingFromThem(t *testing.T) {
	q := New[string]()
	q.Push("a", 1, "a1")
	q.Push("b", 1, "b1")
	q.Charge("b", 5)
	if v, ok := q.NextOf(func(name string) bool { return name == "b" }); !ok || v != "b1" {
		t.Errorf("next is %q, want b1", v)
	}
	if _, ok := q.NextOf(func(string) bool { return false }); ok {
		t.Error("somebody is next though nobody may be")
	}
	q.Push("b", 1, "b2")
	if v, ok := q.Next(); !ok || v != "a1" {
		t.Errorf("next is %q, want a1", v)
	}
	if v, ok := q.Next(); !ok || v != "b2" || q.Len() != 0 {
		t.Errorf("last is %q, and %d are left", v, q.Len())
	}
}
