package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// raceClaims test concurrent callers.
var raceClaims = map[string]func(*testing.T, Env){
	"OfManyClaimsAtOnceOneIsGranted":             oneOfManyClaims,
	"OfManyClaimsAtOnceOnAnOrphanOneIsGranted":   oneOfManyTakeovers,
	"OfManyThatBelieveToHoldARunOneFinishes":     oneOfManyFinishes,
	"ManyAcceptsAtOnceCountARunOnce":             manyAccepts,
	"WorkersThatDieAtRandomFinishEveryRunOnce":   workersThatDie,
	"ARenewalAndAReleaseAtOnceLeaveTheRunFree":   renewAgainstRelease,
	"AFinishAndATakeoverAtOnceLetOneOfThemWin":   finishAgainstTakeover,
	"ManyPublicationsAtOnceLeaveTheBooksInOrder": manyPublications,
}

const callers = 16

// atOnce calls do concurrently, once for each of the callers.
func atOnce(do func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	wg.Wait()
}

func oneOfManyClaims(tt *testing.T, e Env) {
	t := with(tt, e)
	for round := range 20 {
		t.oneGranted(fmt.Sprint("k", round))
	}
	t.books(20, 0)
}

func oneOfManyTakeovers(tt *testing.T, e Env) {
	t := with(tt, e)
	t.granted("k", "dead")
	for range 10 {
		t.Pass(ttl + time.Second)
		t.oneGranted("k")
	}
}

// oneGranted has many owners claim a run at once, each twice, like a client
// that repeats a call.
func (t tester) oneGranted(key string) {
	t.Helper()
	var granted atomic.Int32
	atOnce(func(i int) {
		for range 2 {
			a, err := t.Ledger.Claim(t.ctx, []ledger.Claim{{Entry: entry(key), Owner: fmt.Sprint("w", i)}}, ttl)
			if err != nil {
				t.Error(err)
			} else if a[0].Granted {
				granted.Add(1)
			}
		}
	})
	if granted.Load() != 2 { // one owner, twice
		t.Errorf("%d claims on %s were granted, want one owner's two", granted.Load(), key)
	}
}

func oneOfManyFinishes(tt *testing.T, e Env) {
	t := with(tt, e)
	for round := range 10 {
		key := fmt.Sprint("k", round)
		var holds [callers]ledger.Hold
		for i := range holds {
			holds[i] = t.granted(key, fmt.Sprint("w", i))
			t.Pass(ttl + time.Second)
		}
		var won atomic.Int32
		atOnce(func(i int) {
			errs, err := t.Ledger.Finish(t.ctx, []ledger.Finish{{Hold: holds[i], Status: run.Failed, Result: []byte(holds[i].Owner)}})
			if err != nil {
				t.Error(err)
			} else if errs[0] == nil {
				won.Add(1)
			}
		})
		same(t, "how many finished", won.Load(), 1)
		same(t, "the result", string(t.refused(key, "late").Result), fmt.Sprint("w", callers-1))
	}
	t.books(10, 10)
}

func manyAccepts(tt *testing.T, e Env) {
	t := with(tt, e)
	es := make([]ledger.Entry, 50)
	for i := range es {
		es[i] = entry(fmt.Sprint("k", i))
	}
	var first atomic.Int32
	atOnce(func(int) {
		states, err := t.Ledger.Accept(t.ctx, es)
		if err != nil {
			t.Error(err)
		}
		for _, s := range states {
			if s == ledger.Unknown {
				first.Add(1)
			}
		}
	})
	same(t, "how many were seen first", int(first.Load()), len(es))
	t.books(int64(len(es)), 0)
}

func renewAgainstRelease(tt *testing.T, e Env) {
	t := with(tt, e)
	for round := range 20 {
		key := fmt.Sprint("k", round)
		h := t.granted(key, "w")
		atOnce(func(i int) {
			if i == callers/2 {
				t.release(h, false)
			} else if _, err := t.Ledger.Renew(t.ctx, []ledger.Hold{h}, ttl); err != nil {
				t.Error(err)
			}
		})
		t.granted(key, "another")
	}
}

func finishAgainstTakeover(tt *testing.T, e Env) {
	t := with(tt, e)
	for round := range 20 {
		key := fmt.Sprint("k", round)
		h := t.granted(key, "w")
		t.Pass(ttl + time.Second)
		var finished, granted atomic.Int32
		atOnce(func(i int) {
			if i == callers/2 {
				if errs, err := t.Ledger.Finish(t.ctx, []ledger.Finish{{Hold: h, Status: run.Failed}}); err == nil && errs[0] == nil {
					finished.Add(1)
				}
				return
			}
			a, err := t.Ledger.Claim(t.ctx, []ledger.Claim{{Entry: h.Entry, Owner: fmt.Sprint("b", i)}}, ttl)
			if err == nil && a[0].Granted {
				granted.Add(1)
			}
		})
		same(t, "how many of both won", finished.Load()+granted.Load(), 1)
	}
}

func manyPublications(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "w"), "event", nil)
	t.granted("other", "w")
	atOnce(func(int) {
		if err := t.Ledger.Published(t.ctx, []run.Key{"k", "other"}); err != nil {
			t.Error(err)
		}
	})
	t.books(2, 2)
}

// workersThatDie simulates a fleet whose workers die, return late, repeat calls
// and put runs back, on a ledger that loses nothing.
func workersThatDie(tt *testing.T, e Env) {
	t := with(tt, e)
	const runs = 30
	finished := make([]atomic.Int32, runs)
	var late sync.Map // holds of workers that seemed to die and return later
	rounds := 12
	if e.Slow {
		rounds = 3
	}
	for round := range rounds {
		atOnce(func(w int) {
			r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
			for range 20 {
				i := r.IntN(runs)
				if t.work(r, i, fmt.Sprint(round, w, r.Uint64()), &late) {
					finished[i].Add(1)
				}
			}
			late.Range(func(key, h any) bool {
				if r.IntN(2) == 0 {
					return true
				}
				// One of the callers acts for this owner.
				if _, mine := late.LoadAndDelete(key); mine && t.finishes(h.(ledger.Hold)) {
					finished[indexOf(h.(ledger.Hold))].Add(1)
				}
				return true
			})
		})
		t.Pass(ttl + time.Second)
	}
	for i := range runs {
		if a := t.claim(fmt.Sprint("k", i), "last"); a.Granted && t.finishes(a.Hold) {
			finished[i].Add(1)
		}
		same(t, fmt.Sprintf("how many finished run %d", i), finished[i].Load(), 1)
	}
	t.books(runs, runs)
}

// work handles one delivery of a run, and tells whether it finished the run.
func (t tester) work(r *rand.Rand, i int, owner string, late *sync.Map) bool {
	a, err := t.Ledger.Claim(t.ctx, []ledger.Claim{{Entry: entry(fmt.Sprint("k", i)), Owner: owner}}, ttl)
	if err != nil || !a[0].Granted {
		return false
	}
	h := a[0].Hold
	switch r.IntN(4) {
	case 0: // seems to die, and may return late
		late.Store(owner, h)
		return false
	case 1:
		_ = t.Ledger.Release(t.ctx, h, false)
		return false
	}
	if errs, err := t.Ledger.Invoking(t.ctx, []ledger.Hold{h}); err != nil || errs[0] != nil {
		return false
	}
	h = h.Begun()
	if r.IntN(3) == 0 {
		late.Store(owner, h)
		return false
	}
	return t.finishes(h)
}

func (t tester) finishes(h ledger.Hold) bool {
	errs, err := t.Ledger.Finish(t.ctx, []ledger.Finish{{Hold: h, Status: run.Succeeded, Result: []byte(h.Owner)}})
	return err == nil && errs[0] == nil
}

func indexOf(h ledger.Hold) (i int) {
	_, _ = fmt.Sscanf(string(h.Entry.Key), "k%d", &i)
	return i
}
